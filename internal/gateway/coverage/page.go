package coverage

import (
	"fmt"
	"strings"

	"github.com/tricircle/tricircle/internal/gateway"
)

// columns are the strategies in the order of the page.
var columns = []gateway.Strategy{
	gateway.Routed, gateway.Merged, gateway.Scheduled, gateway.Replicated, gateway.Summed, gateway.Central,
	gateway.Proxied, gateway.Public, gateway.Closed, gateway.Refused, Missing,
}

const head = `# Coverage

<!-- Made out of the route tables by make coverage-api; do not edit. -->

What becomes of each operation of the public APIs ([the lists](api/README.md)), by strategy:

| strategy | who answers |
|---|---|
| routed | the pod that has the thing |
| merged | all pods, as one ordered list |
| scheduled | the pod that is chosen |
| replicated | any pod for reading, every pod for changing |
| summed | all pods, their numbers added up |
| central | Tricircle itself |
| proxied | another API of the region, in this one's words |
| public | Tricircle itself, without a token |
| closed | nobody: the service itself has given it up, and the answer is the service's own |
| refused | nobody; the note says why |
| missing | nobody: the route table has no line, the answer is 404 |

`

// Page is the report as Markdown.
func Page(reports []Report) string {
	var b strings.Builder
	b.WriteString(head)
	summary(&b, reports)
	for _, r := range reports {
		fmt.Fprintf(&b, "\n## %s\n\n", r.Service)
		table(&b, "operation", r.Operations)
		if len(r.Actions) > 0 {
			fmt.Fprintf(&b, "\n### Actions: %s\n\n", r.Service)
			table(&b, "action", r.Actions)
		}
	}
	return b.String()
}

func summary(b *strings.Builder, reports []Report) {
	b.WriteString("| |")
	for _, c := range columns {
		fmt.Fprintf(b, " %s |", c)
	}
	b.WriteString(" all |\n|---|" + strings.Repeat("--:|", len(columns)+1) + "\n")
	for _, r := range reports {
		count(b, r.Service, r.Operations)
		if len(r.Actions) > 0 {
			count(b, r.Service+", actions", r.Actions)
		}
	}
}

func count(b *strings.Builder, title string, lines []Line) {
	by := map[gateway.Strategy]int{}
	for _, l := range lines {
		by[l.Strategy]++
	}
	fmt.Fprintf(b, "| %s |", title)
	for _, c := range columns {
		if by[c] == 0 {
			b.WriteString(" |")
			continue
		}
		fmt.Fprintf(b, " %d |", by[c])
	}
	fmt.Fprintf(b, " %d |\n", len(lines))
}

func table(b *strings.Builder, what string, lines []Line) {
	fmt.Fprintf(b, "| %s | microversions | strategy | note |\n|---|---|---|---|\n", what)
	for _, l := range lines {
		fmt.Fprintf(b, "| `%s` | %s | %s | %s |\n", l, l.versions(), l.Strategy, l.Note)
	}
}
