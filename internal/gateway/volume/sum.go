package volume

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"

	"github.com/tidwall/gjson"

	"github.com/tricircle/tricircle/internal/gateway"
	"github.com/tricircle/tricircle/internal/identity"
)

// summary adds up number and size of the volumes, and unites their metadata.
func (a *api) summary(ctx context.Context, by identity.Caller, r *gateway.Request) (*gateway.Reply, error) {
	return a.summed(ctx, by, r, "volume-summary", func(total map[string]any) any {
		if metadata, ok := total["metadata"].(map[string]any); ok {
			delete(metadata, markKey)
		}
		return map[string]any{"volume-summary": total}
	})
}

func (a *api) summed(ctx context.Context, by identity.Caller, r *gateway.Request, path string, around func(map[string]any) any) (*gateway.Reply, error) {
	answers, away, err := a.askAll(ctx, by, r, "show "+path)
	if err != nil {
		return nil, err
	}
	total := map[string]any{}
	for _, answer := range answers {
		var part map[string]any
		if err := json.Unmarshal([]byte(gjson.GetBytes(answer.Body, path).Raw), &part); err != nil {
			return nil, fmt.Errorf("pod %s: cannot read its %s: %w", answer.Pod, path, err)
		}
		add(total, part)
	}
	return gateway.JSON(http.StatusOK, around(total)).Without(away...), nil
}

// add adds numbers to numbers and objects to objects. -1 is "unlimited" and stays
// so; lists are united; what is neither keeps its first value.
func add(total, part map[string]any) {
	for name, value := range part {
		old, ok := total[name]
		if !ok {
			total[name] = value
			continue
		}
		switch v := value.(type) {
		case float64:
			if n, ok := old.(float64); ok {
				total[name] = plus(n, v)
			}
		case map[string]any:
			if m, ok := old.(map[string]any); ok {
				add(m, v)
			}
		case []any:
			if l, ok := old.([]any); ok {
				total[name] = unite(l, v)
			}
		}
	}
}

func plus(a, b float64) float64 {
	if a == -1 || b == -1 {
		return -1
	}
	return a + b
}

func unite(a, b []any) []any {
	seen := map[string]bool{}
	out := []any{}
	for _, v := range append(a[:len(a):len(a)], b...) {
		key := fmt.Sprint(v)
		if !seen[key] {
			seen[key] = true
			out = append(out, v)
		}
	}
	return out
}
