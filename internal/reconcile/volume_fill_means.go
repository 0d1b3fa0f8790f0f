package reconcile

import (
	"context"
	"fmt"
	"net/url"

	"github.com/tricircle/tricircle/internal/fault"
	"github.com/tricircle/tricircle/internal/microversion"
	"github.com/tricircle/tricircle/internal/pod"
	"github.com/tricircle/tricircle/internal/store"
)

// CanFill says whether a volume of the pod can get its data from the source: nil, or
// fault.Invalid with what is missing. Whether the pods' backup services have one
// store nobody can ask: a fill finds out.
func (r *Reconciler) CanFill(ctx context.Context, src store.FillSource, podName string) error {
	to, err := r.pods.Client(ctx, podName)
	if err != nil {
		return err
	}
	imaged, err := reimages(ctx, to)
	if err != nil || imaged {
		return err
	}
	why := fmt.Sprintf("pod %s cannot image a volume anew (Block Storage 3.68)", podName)
	if src.Kind != store.KindImage {
		from, err := r.pods.Client(ctx, src.Pod)
		if err != nil {
			return err
		}
		for _, c := range []*pod.Client{from, to} {
			serves, err := backsUp(ctx, c)
			if err != nil {
				return err
			}
			if !serves {
				return noFillMeans(src, podName, why+fmt.Sprintf(", and pod %s has no backup service", c.Name()))
			}
		}
		if src.Kind != store.KindVolume {
			return nil
		}
		err = noBackupOf(ctx, from, src.ID)
		if fault.Is(err, fault.Conflict) {
			err = noFillMeans(src, podName, why+", and "+err.Error())
		}
		return err
	}
	return noFillMeans(src, podName, why)
}

func noFillMeans(src store.FillSource, podName, why string) error {
	return fault.New(fault.Invalid, "", "Invalid input received: %s %s is in pod %s, and its data cannot be copied to pod %s: %s",
		src.Kind, src.ID, src.Pod, podName, why)
}

// reimages says whether the pod writes an image into a volume that is there.
func reimages(ctx context.Context, c *pod.Client) (bool, error) {
	var out struct {
		Versions []struct {
			ID      string `json:"id"`
			Version string `json:"version"`
		} `json:"versions"`
	}
	if err := cinderAs(ctx, c, pod.Request{Path: "//", Op: "list versions"}, nil, &out); err != nil {
		return false, err
	}
	for _, row := range out.Versions {
		if v, ok := microversion.Parse(row.Version); ok && row.ID == "v3.0" {
			return v.AtLeast(3, 68), nil
		}
	}
	return false, nil
}

// backsUp says whether a backup service of the pod is up.
func backsUp(ctx context.Context, c *pod.Client) (bool, error) {
	var out struct {
		Services []struct {
			Binary string `json:"binary"`
			State  string `json:"state"`
			Status string `json:"status"`
		} `json:"services"`
	}
	if err := cinderAs(ctx, c, pod.Request{Path: "/os-services", Query: url.Values{"binary": {"cinder-backup"}}, Op: "list services"}, nil, &out); err != nil {
		return false, err
	}
	for _, s := range out.Services {
		if s.Binary == "cinder-backup" && s.State == "up" && s.Status == "enabled" {
			return true, nil
		}
	}
	return false, nil
}
