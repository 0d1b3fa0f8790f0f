package admin

import (
	"context"

	"github.com/tricircle/tricircle/internal/store"
)

// Bindings lists which pods the projects use, per zone the one in force first.
func (a *Admin) Bindings(ctx context.Context) ([]store.Binding, error) {
	bindings, err := a.Store.ListBindings(ctx, "")
	if bindings == nil {
		bindings = []store.Binding{}
	}
	return bindings, err
}
