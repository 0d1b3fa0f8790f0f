package compute

import (
	"context"
	"encoding/json"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"

	"github.com/tidwall/gjson"

	"github.com/tricircle/tricircle/internal/fault"
	"github.com/tricircle/tricircle/internal/gateway"
	"github.com/tricircle/tricircle/internal/identity"
	"github.com/tricircle/tricircle/internal/quota"
	"github.com/tricircle/tricircle/internal/store"
)

// maxQuota is the largest limit that Nova's database takes.
const maxQuota = 0x7FFFFFFF

var (
	networkQuotas = []string{"fixed_ips", "floating_ips", "security_groups", "security_group_rules"}
	fileQuotas    = []string{"injected_files", "injected_file_content_bytes", "injected_file_path_bytes"}
	groupQuotas   = []string{"server_groups", "server_group_members"}
)

// quotaNames are the resources that show at the version. nova-network's go with
// the one given: 2.36, in classes 2.50.
func quotaNames(v gateway.Microversion, network int) []string {
	return slices.DeleteFunc(quota.Resources(quota.Compute), func(name string) bool {
		return v.AtLeast(2, network) && slices.Contains(networkQuotas, name) || v.AtLeast(2, 57) && slices.Contains(fileQuotas, name)
	})
}

func denied(policy string) error {
	return fault.New(fault.Forbidden, "", "Policy doesn't allow %s to be performed.", policy)
}

// checkParameters refuses other query parameters, as Nova does since 2.75.
func checkParameters(r *gateway.Request, allowed ...string) error {
	if !versionOf(r).AtLeast(2, 75) {
		return nil
	}
	return onlyParameters(r.URL.Query(), allowed...)
}

// quotaRequest is whose quota a request is about, once the caller may ask.
func (a *api) quotaRequest(ctx context.Context, by identity.Caller, r *gateway.Request, verb string) (store.QuotaOf, error) {
	of := store.QuotaOf{Service: quota.Compute, ProjectID: r.Param("id"), UserID: r.URL.Query().Get("user_id")}
	if err := checkParameters(r, "user_id"); err != nil && verb != "defaults" {
		return of, err
	}
	free := verb == "defaults" || (verb == "show" || verb == "detail") && of.ProjectID == by.ProjectID
	if !free && !by.IsAdmin() {
		return of, denied("os_compute_api:os-quota-sets:" + verb)
	}
	if verb != "delete" && of.ProjectID != by.ProjectID {
		if err := a.checkProject(ctx, by, of.ProjectID); err != nil {
			return of, err
		}
	}
	a.learnDefaults(ctx)
	return of, nil
}

// checkProject refuses a project that Keystone does not have. As with Nova, what
// the caller may not see, and a Keystone that is away, pass.
func (a *api) checkProject(ctx context.Context, by identity.Caller, id string) error {
	names, err := a.podNames(ctx)
	if err != nil || !by.IsAdmin() {
		return err
	}
	account, err := a.Fleet.Account(ctx, names[0])
	if err != nil {
		return nil //nolint:nilerr // the project may well be there
	}
	err = account.Keystone(ctx, http.MethodGet, "/projects/"+url.PathEscape(id), nil, nil, nil)
	if fault.Is(err, fault.NotFound) {
		return fault.New(fault.Invalid, "", "Project ID %s is not a valid project.", id)
	}
	return nil
}

// quotaSet is "GET /os-quota-sets/{id}".
func (a *api) quotaSet(ctx context.Context, by identity.Caller, r *gateway.Request) (*gateway.Reply, error) {
	of, err := a.quotaRequest(ctx, by, r, "show")
	if err != nil {
		return nil, err
	}
	limits, err := a.Store.Limits(ctx, of)
	if err != nil {
		return nil, err
	}
	return quotaReply("quota_set", of.ProjectID, quotaNames(versionOf(r), 36), limits), nil
}

// quotaDefaults is "GET /os-quota-sets/{id}/defaults".
func (a *api) quotaDefaults(ctx context.Context, by identity.Caller, r *gateway.Request) (*gateway.Reply, error) {
	of, err := a.quotaRequest(ctx, by, r, "defaults")
	if err != nil {
		return nil, err
	}
	limits, err := a.Store.Defaults(ctx, quota.Compute)
	if err != nil {
		return nil, err
	}
	return quotaReply("quota_set", of.ProjectID, quotaNames(versionOf(r), 36), limits), nil
}

// quotaDetail is "GET /os-quota-sets/{id}/detail". Nova shows no use of key pairs
// and members of groups, which count per user and per group.
func (a *api) quotaDetail(ctx context.Context, by identity.Caller, r *gateway.Request) (*gateway.Reply, error) {
	of, err := a.quotaRequest(ctx, by, r, "detail")
	if err != nil {
		return nil, err
	}
	limits, err := a.Store.Limits(ctx, of)
	if err != nil {
		return nil, err
	}
	used, err := a.used(ctx, of)
	if err != nil {
		return nil, err
	}
	set := map[string]any{"id": of.ProjectID}
	for _, name := range quotaNames(versionOf(r), 36) {
		set[name] = map[string]int64{"limit": limits[name], "in_use": used[name], "reserved": 0}
	}
	return gateway.JSON(http.StatusOK, map[string]any{"quota_set": set}), nil
}

// quotaReply shows limits; without an ID as Nova does after a change.
func quotaReply(field, id string, names []string, limits quota.Amounts) *gateway.Reply {
	set := map[string]any{}
	if id != "" {
		set["id"] = id
	}
	for _, name := range names {
		set[name] = limits[name]
	}
	return gateway.JSON(http.StatusOK, map[string]any{field: set})
}

// updateQuota is "PUT /os-quota-sets/{id}". The limits hold at once; jobs bring
// them to the pods, so that none is in the way.
func (a *api) updateQuota(ctx context.Context, by identity.Caller, r *gateway.Request) (*gateway.Reply, error) {
	names := quotaNames(versionOf(r), 36)
	wanted, force, err := readQuotas(r, "quota_set", names, true)
	if err != nil {
		return nil, err
	}
	of, err := a.quotaRequest(ctx, by, r, "update")
	if err != nil {
		return nil, err
	}
	if !force {
		if err := a.checkRange(ctx, of, wanted); err != nil {
			return nil, err
		}
	}
	if err := a.Store.SetQuota(ctx, of, wanted); err != nil {
		return nil, err
	}
	limits, err := a.Store.Limits(ctx, of)
	if err != nil {
		return nil, err
	}
	return quotaReply("quota_set", "", names, limits), nil
}

// readQuotas reads limits from the body, in the words of Nova's schema.
func readQuotas(r *gateway.Request, field string, names []string, forcible bool) (limits quota.Amounts, force bool, err error) {
	body, err := r.Bytes()
	if err != nil {
		return nil, false, err
	}
	var document, set map[string]json.RawMessage
	if !json.Valid(body) || json.Unmarshal(body, &document) != nil {
		return nil, false, fault.New(fault.Invalid, "", "Malformed request body")
	}
	raw, ok := document[field]
	if !ok {
		return nil, false, fault.New(fault.Invalid, "", "'%s' is a required property", field)
	}
	for _, name := range slices.Sorted(maps.Keys(document)) {
		if name != field {
			return nil, false, fault.New(fault.Invalid, "", "Additional properties are not allowed ('%s' was unexpected)", name)
		}
	}
	if json.Unmarshal(raw, &set) != nil || set == nil {
		return nil, false, wrongType(field, raw, "object")
	}
	limits = quota.Amounts{}
	for _, name := range slices.Sorted(maps.Keys(set)) {
		switch {
		case name == "force" && forcible:
			if force, err = readBoolean(name, set[name]); err != nil {
				return nil, false, err
			}
		case name == "networks" && slices.Contains(names, "fixed_ips") && forcible:
			return nil, false, fault.New(fault.Invalid, "", "The networks quota has been removed")
		case !slices.Contains(names, name):
			return nil, false, misfit(field, gjson.ParseBytes(raw), unexpectedProperties([]string{gateway.Quoted(name)}))
		default:
			if limits[name], err = readQuota(name, set[name]); err != nil {
				return nil, false, err
			}
		}
	}
	return limits, force, nil
}

func readBoolean(name string, raw json.RawMessage) (bool, error) {
	switch strings.ToLower(strings.Trim(string(raw), `"`)) {
	case "true", "1", "on", "yes":
		return true, nil
	case "false", "0", "off", "no":
		return false, nil
	}
	return false, wrongValue(name, raw, "is not one of the booleans that Nova knows")
}

// readQuota reads a limit: an integer, also as a string.
func readQuota(name string, raw json.RawMessage) (int64, error) {
	text := string(raw)
	if s := ""; json.Unmarshal(raw, &s) == nil && strings.HasPrefix(text, `"`) {
		text = s
	} else if strings.ContainsAny(text, "{[nf.teE") { // no integer
		return 0, wrongType(name, raw, "integer', 'string")
	}
	n, err := strconv.ParseInt(text, 10, 64)
	switch {
	case err != nil && strings.Trim(text, "-0123456789") != "", text == "", err != nil && strings.LastIndexByte(text, '-') > 0:
		return 0, wrongValue(name, raw, "does not match '^-?[0-9]+$'")
	case n < quota.Unlimited:
		return 0, fault.New(fault.Invalid, "", "Invalid input for field/attribute %s. Value: %s. %s is less than the minimum of -1", name, text, text)
	case err != nil, n > maxQuota:
		return 0, fault.New(fault.Invalid, "", "Invalid input for field/attribute %s. Value: %s. %s is greater than the maximum of %d", name, text, text, maxQuota)
	}
	return n, nil
}

// checkRange holds new limits against what is used and what users were given.
func (a *api) checkRange(ctx context.Context, of store.QuotaOf, wanted quota.Amounts) error {
	used, err := a.used(ctx, of)
	if err != nil {
		return err
	}
	whole, err := a.Store.Limits(ctx, store.QuotaOf{Service: of.Service, ProjectID: of.ProjectID})
	if err != nil {
		return err
	}
	set, err := a.Store.QuotaSet(ctx, of.Service, of.ProjectID)
	if err != nil {
		return err
	}
	for _, name := range slices.Sorted(maps.Keys(wanted)) {
		least, most := settable(name, of.UserID, used, whole, set)
		if quota.Less(wanted[name], least) {
			return fault.New(fault.Invalid, "", "Quota limit %d for %s must be greater than or equal to already used and reserved %d.", wanted[name], name, least)
		}
		if quota.Less(most, wanted[name]) {
			return fault.New(fault.Invalid, "", "Quota limit %d for %s must be less than or equal to %d.", wanted[name], name, most)
		}
	}
	return nil
}

// settable is the range for a new limit. A user may be given what the project has
// and no other user was given; a project not less than its users were given.
func settable(name, user string, used, whole quota.Amounts, set map[string]quota.Amounts) (least, most int64) {
	var given int64
	for who, limits := range set {
		if who != "" {
			given += limits[name]
		}
	}
	left := whole[name] - given
	switch {
	case user != "" && (left < 0 || set[user][name] < 0):
		return used[name], quota.Unlimited
	case user != "":
		return used[name], left + set[user][name]
	case whole[name] < 0 || left < 0:
		return used[name], quota.Unlimited
	}
	return max(given, used[name]), quota.Unlimited
}

// deleteQuota is "DELETE /os-quota-sets/{id}": the defaults hold again.
func (a *api) deleteQuota(ctx context.Context, by identity.Caller, r *gateway.Request) (*gateway.Reply, error) {
	of, err := a.quotaRequest(ctx, by, r, "delete")
	if err != nil {
		return nil, err
	}
	if err := a.Store.DropQuota(ctx, of); err != nil {
		return nil, err
	}
	reply := gateway.Empty(http.StatusAccepted)
	reply.Header = http.Header{"Content-Type": {"application/json"}} // Nova's empty answer has a type
	return reply, nil
}

// classNames are the resources that a class shows; the groups were forgotten in
// versions before 2.50, which take them all the same.
func classNames(v gateway.Microversion) []string {
	return slices.DeleteFunc(quotaNames(v, 50), func(name string) bool {
		return !v.AtLeast(2, 50) && slices.Contains(groupQuotas, name)
	})
}

// quotaClass is "GET /os-quota-class-sets/{id}".
func (a *api) quotaClass(ctx context.Context, _ identity.Caller, r *gateway.Request) (*gateway.Reply, error) {
	return a.classReply(ctx, r, r.Param("id"))
}

func (a *api) classReply(ctx context.Context, r *gateway.Request, id string) (*gateway.Reply, error) {
	a.learnDefaults(ctx)
	limits, err := a.Store.Defaults(ctx, quota.Compute)
	if err != nil {
		return nil, err
	}
	class, err := a.Store.QuotaClass(ctx, quota.Compute, r.Param("id"))
	if err != nil {
		return nil, err
	}
	return quotaReply("quota_class_set", id, classNames(versionOf(r)), limits.With(class)), nil
}

// updateQuotaClass is "PUT /os-quota-class-sets/{id}". The class "default" is what
// projects without limits of their own have.
func (a *api) updateQuotaClass(ctx context.Context, _ identity.Caller, r *gateway.Request) (*gateway.Reply, error) {
	limits, _, err := readQuotas(r, "quota_class_set", quotaNames(versionOf(r), 50), false)
	if err != nil {
		return nil, err
	}
	if id := r.Param("id"); len([]rune(id)) > 255 {
		return nil, fault.New(fault.Invalid, "", "Invalid input received: quota_class_name has %d characters, more than 255.", len([]rune(id)))
	}
	if err := a.Store.SetQuotaClass(ctx, quota.Compute, r.Param("id"), limits); err != nil {
		return nil, err
	}
	return a.classReply(ctx, r, "")
}
