package reconcile

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/tricircle/tricircle/internal/fault"
	"github.com/tricircle/tricircle/internal/pod"
	"github.com/tricircle/tricircle/internal/reconcile/plan"
)

// The pod's Image API, as much of it as copies need, with the service account.

func imagePath(id string, deeper ...string) string {
	path := "/images/" + url.PathEscape(id)
	for _, part := range deeper {
		path += "/" + url.PathEscape(part)
	}
	return path
}

func glance(ctx context.Context, c *pod.Client, method, op, path string, in, out any) error {
	return c.JSON(ctx, pod.Request{Service: pod.Image, Method: method, Path: path, Op: op}, in, out)
}

// showImage misses with nil.
func showImage(ctx context.Context, c *pod.Client, id string) (plan.Image, error) {
	var out plan.Image
	err := glance(ctx, c, http.MethodGet, "show image", imagePath(id), nil, &out)
	if fault.Is(err, fault.NotFound) {
		return nil, nil
	}
	if err == nil && out.Text("id") != id {
		return nil, unintelligible(c, pod.Request{Op: "show image"}, "image")
	}
	return out, err
}

func patchImage(ctx context.Context, c *pod.Client, id string, steps []plan.ImageChange) error {
	if len(steps) == 0 {
		return nil
	}
	body, err := json.Marshal(steps)
	if err != nil {
		return err
	}
	resp, err := c.Do(ctx, pod.Request{
		Service: pod.Image, Method: http.MethodPatch, Path: imagePath(id), Op: "change image",
		Header: http.Header{"Content-Type": {"application/openstack-images-v2.1-json-patch"}, "Accept": {"application/json"}},
		Body:   strings.NewReader(string(body)),
	})
	if err != nil {
		return err
	}
	defer func() { _ = resp.Body.Close() }()
	if resp.StatusCode != http.StatusOK {
		return pod.Upstream(c.Name(), "change image", resp)
	}
	return nil
}

// removeImage is content when it is gone already.
func removeImage(ctx context.Context, c *pod.Client, id string) error {
	found, err := showImage(ctx, c, id)
	if err != nil || found == nil {
		return err
	}
	if protected, _ := found["protected"].(bool); protected {
		step := plan.ImageChange{Op: "replace", Path: "/protected", Value: false}
		if err := patchImage(ctx, c, id, []plan.ImageChange{step}); err != nil {
			return err
		}
	}
	err = glance(ctx, c, http.MethodDelete, "delete image", imagePath(id), nil, nil)
	if fault.Is(err, fault.NotFound) {
		return nil
	}
	return err
}

// membersOf lists with whom an image is shared; one that is not shared has nobody.
func membersOf(ctx context.Context, c *pod.Client, i plan.Image) (plan.Members, error) {
	if i.Text("visibility") != "shared" {
		return plan.Members{}, nil
	}
	var out struct {
		Members []struct {
			ID     string `json:"member_id"`
			Status string `json:"status"`
		} `json:"members"`
	}
	if err := glance(ctx, c, http.MethodGet, "list members of an image", imagePath(i.Text("id"), "members"), nil, &out); err != nil {
		return nil, err
	}
	all := plan.Members{}
	for _, m := range out.Members {
		all[m.ID] = m.Status
	}
	return all, nil
}

func changeMembers(ctx context.Context, c *pod.Client, id string, s plan.MemberSteps) error {
	for _, project := range s.Add {
		err := glance(ctx, c, http.MethodPost, "add member to image", imagePath(id, "members"), map[string]string{"member": project}, nil)
		if err != nil && !fault.Is(err, fault.Conflict) {
			return err
		}
	}
	for project, status := range s.Set {
		err := glance(ctx, c, http.MethodPut, "change member of image", imagePath(id, "members", project), map[string]string{"status": status}, nil)
		if err != nil {
			return err
		}
	}
	for _, project := range s.Drop {
		err := glance(ctx, c, http.MethodDelete, "remove member of image", imagePath(id, "members", project), nil, nil)
		if err != nil && !fault.Is(err, fault.NotFound) {
			return err
		}
	}
	return nil
}

// actOnImage deactivates or reactivates. Glance wants no body at all.
func actOnImage(ctx context.Context, c *pod.Client, id, action string) error {
	return glance(ctx, c, http.MethodPost, action+" image", imagePath(id, "actions", action), nil, nil)
}

// importMethods are those that a pod's Glance offers. A Glance before imports has
// none.
func importMethods(ctx context.Context, c *pod.Client) ([]string, error) {
	var out struct {
		Methods struct {
			Value []string `json:"value"`
		} `json:"import-methods"`
	}
	err := glance(ctx, c, http.MethodGet, "list import methods", "/info/import", nil, &out)
	if fault.Is(err, fault.NotFound) {
		return nil, nil
	}
	return out.Methods.Value, err
}

func importImage(ctx context.Context, c *pod.Client, id string, method map[string]any) error {
	return glance(ctx, c, http.MethodPost, "import image", imagePath(id, "import"), map[string]any{"method": method}, nil)
}

// importTask is what Glance says of an import. Its own list is in no order.
type importTask struct {
	ID      string `json:"id"`
	Status  string `json:"status"`
	Message string `json:"message"`
	Created string `json:"created_at"`
}

// lastImport misses with an empty task: Glances before Ussuri do not tell.
func lastImport(ctx context.Context, c *pod.Client, id string) (importTask, error) {
	var out struct {
		Tasks []importTask `json:"tasks"`
	}
	err := glance(ctx, c, http.MethodGet, "list tasks of an image", imagePath(id, "tasks"), nil, &out)
	if fault.Is(err, fault.NotFound) || err == nil && len(out.Tasks) == 0 {
		return importTask{}, nil
	}
	if err != nil {
		return importTask{}, err
	}
	return slices.MaxFunc(out.Tasks, func(a, b importTask) int { return strings.Compare(a.Created, b.Created) }), nil
}

// changedAt is when Glance last touched the image; zero if it does not say.
func changedAt(i plan.Image) time.Time {
	at, _ := time.Parse(time.RFC3339, i.Text("updated_at"))
	return at
}

// passing says that nothing but time is needed: a pod or the database is away.
func passing(err error) bool {
	return fault.Is(err, fault.Unavailable) || fault.Is(err, fault.Timeout) ||
		errors.Is(err, context.DeadlineExceeded) || errors.Is(err, context.Canceled)
}
