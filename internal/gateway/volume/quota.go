package volume

import (
	"context"
	"maps"
	"net/http"
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

// maxQuota is the largest limit that Cinder's database takes.
const maxQuota = 0x7FFFFFFF

func (a *api) quotaRoutes() []gateway.Route {
	return []gateway.Route{
		{Method: get, Pattern: "/limits", Strategy: gateway.Central, Policy: "limits_extension:used_limits", Handle: a.limits},
		{Method: get, Pattern: "/os-quota-sets/{id}", Strategy: gateway.Central, Handle: a.quotaSet},
		{Method: get, Pattern: "/os-quota-sets/{id}/defaults", Strategy: gateway.Central, Handle: a.quotaDefaults},
		{Method: put, Pattern: "/os-quota-sets/{id}", Strategy: gateway.Central, Admin: true, Policy: "volume_extension:quotas:update", Handle: a.updateQuota},
		{Method: remove, Pattern: "/os-quota-sets/{id}", Strategy: gateway.Central, Admin: true, Policy: "volume_extension:quotas:delete", Handle: a.deleteQuota},
		{Method: get, Pattern: "/os-quota-class-sets/{id}", Strategy: gateway.Central, Admin: true, Policy: "volume_extension:quota_classes:get", Handle: a.quotaClass},
		{Method: put, Pattern: "/os-quota-class-sets/{id}", Strategy: gateway.Central, Admin: true, Policy: "volume_extension:quota_classes:update", Handle: a.updateQuotaClass},
	}
}

func quotaOf(project string) store.QuotaOf {
	return store.QuotaOf{Service: quota.Volume, ProjectID: project}
}

// mayShow lets a project see its own quota, and admins any.
func mayShow(by identity.Caller, project string) error {
	if by.IsAdmin() || by.ProjectID == project {
		return nil
	}
	return fault.New(fault.Forbidden, "", "Policy doesn't allow volume_extension:quotas:show to be performed.")
}

// quotaSet is "GET /os-quota-sets/{id}", with or without what is in use.
func (a *api) quotaSet(ctx context.Context, by identity.Caller, r *gateway.Request) (*gateway.Reply, error) {
	project := r.Param("id")
	if err := mayShow(by, project); err != nil {
		return nil, err
	}
	usage, err := boolean(r, "usage")
	if err != nil {
		return nil, err
	}
	a.Reconciler.RefreshDefaults(ctx, quota.Volume)
	limits, err := a.Store.Limits(ctx, quotaOf(project))
	if err != nil {
		return nil, err
	}
	if err := a.dropGoneTypes(ctx, limits); err != nil {
		return nil, err
	}
	if !usage {
		return quotaReply("quota_set", project, limits), nil
	}
	used, err := a.volumesUsed(ctx, project)
	if err != nil {
		return nil, err
	}
	set := map[string]any{"id": project}
	for name, limit := range limits {
		set[name] = map[string]int64{"limit": limit, "in_use": used.InUse[name], "reserved": used.Reserved[name]}
	}
	return gateway.JSON(http.StatusOK, map[string]any{"quota_set": set}), nil
}

// boolean reads a parameter of the query; absent it is false.
func boolean(r *gateway.Request, name string) (bool, error) {
	text := r.URL.Query().Get(name)
	switch strings.ToLower(strings.TrimSpace(text)) {
	case "1", "t", "true", "on", "y", "yes":
		return true, nil
	case "0", "f", "false", "off", "n", "no":
		return false, nil
	}
	if !r.URL.Query().Has(name) {
		return false, nil
	}
	return false, fault.New(fault.Invalid, "", "Value '%s' for '%s' is not a boolean.", text, name)
}

// quotaReply shows limits; without an ID as Cinder does after a change.
func quotaReply(field, id string, limits quota.Amounts) *gateway.Reply {
	set := map[string]any{}
	for name, n := range limits {
		set[name] = n
	}
	if id != "" {
		set["id"] = id
	}
	return gateway.JSON(http.StatusOK, map[string]any{field: set})
}

// quotaDefaults is "GET /os-quota-sets/{id}/defaults".
func (a *api) quotaDefaults(ctx context.Context, by identity.Caller, r *gateway.Request) (*gateway.Reply, error) {
	if err := mayShow(by, r.Param("id")); err != nil {
		return nil, err
	}
	a.Reconciler.RefreshDefaults(ctx, quota.Volume)
	limits, err := a.Store.Defaults(ctx, quota.Volume)
	if err != nil {
		return nil, err
	}
	if err := a.dropGoneTypes(ctx, limits); err != nil {
		return nil, err
	}
	return quotaReply("quota_set", r.Param("id"), limits), nil
}

// updateQuota is "PUT /os-quota-sets/{id}". The limits hold at once; jobs bring
// them to the pods, so that none is in the way.
func (a *api) updateQuota(ctx context.Context, _ identity.Caller, r *gateway.Request) (*gateway.Reply, error) {
	set, err := quotasIn(r, "quota_set")
	if err != nil {
		return nil, err
	}
	if len(set.Map()) == 0 {
		return nil, unfit("quota_set", set, "{} does not have enough properties")
	}
	of := quotaOf(r.Param("id"))
	if err := nameLength(of.ProjectID, "quota_set_name"); err != nil {
		return nil, err
	}
	known, err := a.quotaNames(ctx, "quota set", set, "tenant_id", "id")
	if err != nil {
		return nil, err
	}
	wanted, err := readQuotaSet(set, known)
	if err != nil {
		return nil, err
	}
	if err := a.checkInUse(ctx, of, wanted); err != nil {
		return nil, err
	}
	if err := a.Store.SetQuota(ctx, of, wanted); err != nil {
		return nil, err
	}
	limits, err := a.Store.Limits(ctx, of)
	if err != nil {
		return nil, err
	}
	if err := a.dropGoneTypes(ctx, limits); err != nil {
		return nil, err
	}
	return quotaReply("quota_set", "", limits), nil
}

// quotasIn is the object in the body, in the words of Cinder's schema.
func quotasIn(r *gateway.Request, field string) (set gjson.Result, err error) {
	var document map[string]any
	if err := r.JSON(&document); err != nil {
		return set, err
	}
	body, err := r.Bytes()
	if err != nil {
		return set, err
	}
	for _, name := range slices.Sorted(maps.Keys(document)) {
		if name != field {
			return set, fault.New(fault.Invalid, "", "Additional properties are not allowed (%s was unexpected)", gateway.Quoted(name))
		}
	}
	if set = gjson.GetBytes(body, field); !set.Exists() {
		return set, fault.New(fault.Invalid, "", "'%s' is a required property", field)
	}
	if !set.IsObject() {
		return set, unfit(field, set, gateway.Repr(set)+" is not of type 'object'")
	}
	return set, nil
}

func unfit(field string, v gjson.Result, problem string) error {
	return fault.New(fault.Invalid, "", "Invalid input for field/attribute %s. Value: %s. %s", field, gateway.Str(v), problem)
}

func nameLength(name, what string) error {
	if n := len([]rune(name)); n > 255 {
		return fault.New(fault.Invalid, "", "%s has %d characters, more than 255.", what, n)
	}
	return nil
}

// quotaNames are the resources that there are. The pods are asked for those of
// volume types that are new. Names beside them may stand in a set.
func (a *api) quotaNames(ctx context.Context, what string, set gjson.Result, beside ...string) (quota.Amounts, error) {
	a.Reconciler.LearnDefaults(ctx, quota.Volume)
	known, err := a.Store.Defaults(ctx, quota.Volume)
	if err != nil || len(unknownNames(set, known, beside...)) == 0 {
		return known, err
	}
	a.Reconciler.RefreshDefaults(ctx, quota.Volume)
	if known, err = a.Store.Defaults(ctx, quota.Volume); err != nil {
		return nil, err
	}
	if err := a.addTypeNames(ctx, known); err != nil {
		return nil, err
	}
	return known, badKeys(set, known, what, beside...)
}

// dropGoneTypes leaves out limits of types that are deleted, or have another name: as
// in Cinder they show no more, and count again should such a type come back.
func (a *api) dropGoneTypes(ctx context.Context, limits quota.Amounts) error {
	types, err := a.Store.ListReplicas(ctx, store.KindVolumeType)
	if err != nil {
		return err
	}
	there := map[string]bool{}
	for _, t := range types {
		there[t.Name] = true
	}
	maps.DeleteFunc(limits, func(name string, _ int64) bool {
		of, ok := quota.TypeOf(name)
		return ok && !there[of]
	})
	return nil
}

// addTypeNames adds the names of the region's types that no pod has told of yet:
// without a limit, as Cinder has them at first.
func (a *api) addTypeNames(ctx context.Context, known quota.Amounts) error {
	types, err := a.Store.ListReplicas(ctx, store.KindVolumeType)
	for _, t := range types {
		for name, none := range quota.NoLimitsOf(t.Name) {
			if _, ok := known[name]; !ok {
				known[name] = none
			}
		}
	}
	return err
}

func badKeys(set gjson.Result, known quota.Amounts, what string, beside ...string) error {
	if bad := unknownNames(set, known, beside...); len(bad) > 0 {
		return fault.New(fault.Invalid, "", "Invalid input received: Bad key(s) in %s: %s", what, strings.Join(bad, ", "))
	}
	return nil
}

func unknownNames(set gjson.Result, known quota.Amounts, beside ...string) (names []string) {
	set.ForEach(func(k, _ gjson.Result) bool {
		if _, ok := known[k.Str]; !ok && !slices.Contains(beside, k.Str) {
			names = append(names, k.Str)
		}
		return true
	})
	return names
}

// readQuotaSet reads a project's limits. Cinder compares a number in quotes with
// one, and fails.
func readQuotaSet(set gjson.Result, known quota.Amounts) (quota.Amounts, error) {
	limits := quota.Amounts{}
	var wrong error
	set.ForEach(func(k, v gjson.Result) bool {
		if _, ok := known[k.Str]; !ok {
			return true
		}
		n, err := strconv.ParseInt(gateway.Str(v), 10, 64)
		switch {
		case err != nil:
			wrong = fault.New(fault.Invalid, "", "%s must be an integer", k.Str)
		case n < quota.Unlimited:
			wrong = fault.New(fault.Invalid, "", "%s must be >= -1", k.Str)
		case n > maxQuota:
			wrong = fault.New(fault.Invalid, "", "%s must be <= %d", k.Str, maxQuota)
		case v.Type != gjson.Number:
			wrong = fault.New(fault.Invalid, "", "The server could not comply with the request since it is either malformed or otherwise incorrect.")
		}
		limits[k.Str] = n
		return wrong == nil
	})
	return limits, wrong
}

// checkInUse refuses limits below what is in use. As Cinder does, only those that
// the project has been given before.
func (a *api) checkInUse(ctx context.Context, of store.QuotaOf, wanted quota.Amounts) error {
	given, err := a.Store.QuotaSet(ctx, of.Service, of.ProjectID)
	if err != nil {
		return err
	}
	used, err := a.Store.VolumesUsed(ctx, of.ProjectID)
	if err != nil {
		return err
	}
	for _, name := range slices.Sorted(maps.Keys(wanted)) {
		n := used.InUse[name] + used.Reserved[name]
		if _, ok := given[""][name]; ok && wanted[name] >= 0 && wanted[name] < n {
			return fault.New(fault.Invalid, "", "Quota %s limit must be equal or greater than existing resources. Current usage is %d and the requested limit is %d.",
				name, n, wanted[name])
		}
	}
	return nil
}

// deleteQuota is "DELETE /os-quota-sets/{id}": the defaults hold again.
func (a *api) deleteQuota(ctx context.Context, _ identity.Caller, r *gateway.Request) (*gateway.Reply, error) {
	if err := a.Store.DropQuota(ctx, quotaOf(r.Param("id"))); err != nil {
		return nil, err
	}
	reply := gateway.Empty(http.StatusOK)
	reply.Header = http.Header{"Content-Type": {"application/json"}} // Cinder's empty answer has a type
	return reply, nil
}

// quotaClass is "GET /os-quota-class-sets/{id}".
func (a *api) quotaClass(ctx context.Context, _ identity.Caller, r *gateway.Request) (*gateway.Reply, error) {
	a.Reconciler.RefreshDefaults(ctx, quota.Volume)
	return a.classReply(ctx, r.Param("id"), r.Param("id"))
}

func (a *api) classReply(ctx context.Context, class, id string) (*gateway.Reply, error) {
	limits, err := a.Store.Defaults(ctx, quota.Volume)
	if err != nil {
		return nil, err
	}
	given, err := a.Store.QuotaClass(ctx, quota.Volume, class)
	if err != nil {
		return nil, err
	}
	limits = limits.With(given)
	if err := a.dropGoneTypes(ctx, limits); err != nil {
		return nil, err
	}
	return quotaReply("quota_class_set", id, limits), nil
}

// updateQuotaClass is "PUT /os-quota-class-sets/{id}". The class "default" is what
// projects without limits of their own have.
func (a *api) updateQuotaClass(ctx context.Context, _ identity.Caller, r *gateway.Request) (*gateway.Reply, error) {
	set, err := quotasIn(r, "quota_class_set")
	if err != nil {
		return nil, err
	}
	class := r.Param("id")
	if err := nameLength(class, "quota_class_name"); err != nil {
		return nil, err
	}
	limits, err := readQuotaClass(set)
	if err != nil {
		return nil, err
	}
	if _, err := a.quotaNames(ctx, "quota class set", set); err != nil {
		return nil, err
	}
	if err := a.Store.SetQuotaClass(ctx, quota.Volume, class, limits); err != nil {
		return nil, err
	}
	return a.classReply(ctx, class, "")
}

// readQuotaClass reads a class's limits, which may be in quotes.
func readQuotaClass(set gjson.Result) (quota.Amounts, error) {
	limits := quota.Amounts{}
	var wrong error
	set.ForEach(func(k, v gjson.Result) bool {
		text := gateway.Str(v)
		n, err := strconv.ParseInt(text, 10, 64)
		switch {
		case v.Type != gjson.Number && v.Type != gjson.String || v.Type == gjson.Number && err != nil:
			wrong = unfit(k.Str, v, gateway.Repr(v)+" is not of type 'integer', 'string'")
		case v.Type == gjson.String && strings.Trim(text, "0123456789") != "":
			wrong = unfit(k.Str, v, gateway.Repr(v)+" does not match '^[0-9]*$'")
		case text == "":
			wrong = unfit(k.Str, v, "'' is too short")
		case n < quota.Unlimited:
			wrong = unfit(k.Str, v, text+" is less than the minimum of -1")
		case n > maxQuota || err != nil:
			wrong = unfit(k.Str, v, text+" is greater than the maximum of "+strconv.Itoa(maxQuota))
		}
		limits[k.Str] = n
		return wrong == nil
	})
	return limits, wrong
}
