package golden

import (
	"fmt"
	"slices"
	"strings"
)

// State is the outcome of a run.
type State int

// The states.
const (
	Failed        State = iota // Result.Diff is set
	Passed                     // everything this kind of run compares is as expected
	NotApplicable              // this kind of run cannot run the case
)

// String returns the state's name in lower case.
func (s State) String() string {
	return [...]string{"failed", "passed", "not applicable"}[s]
}

// Result is the result of running a case.
type Result struct {
	Case   *Case
	State  State
	Calls  []Message // the provider calls made, in order
	Answer Message   // to the caller
	Diff   string    // unified, from the case to the run; "" unless Failed
	wire   bool

	connect map[string]string // the computed sections, of a case that Connects
}

// mappingHeader is never compared.
const mappingHeader = "Portolan-Mapping"

// setDiff sets State and Diff from the differences.
func (r *Result) setDiff(differences ...[]string) *Result {
	found := slices.Concat(differences...)
	r.Diff = strings.Join(found, "\n")
	r.State = Failed
	if len(found) == 0 {
		r.State = Passed
	}
	return r
}

// compareCalls compares the calls made with those listed, in order.
func (r *Result) compareCalls() []string {
	var out []string
	for i := range max(len(r.Calls), len(r.Case.Upstream)) {
		var want, got string
		note := ""
		switch {
		case i >= len(r.Calls):
			m := r.Case.Upstream[i].Request
			want, note = callText(m, m.Header, isForm(m)), " (listed, not made)"
		case i >= len(r.Case.Upstream):
			m := r.Calls[i]
			got, note = callText(m, callHeader(Message{}, m, r.wire), isForm(m)), " (made, not listed)"
		default:
			listed, made := r.Case.Upstream[i].Request, r.Calls[i]
			want = callText(listed, listed.Header, isForm(made))
			got = callText(made, callHeader(listed, made, r.wire), isForm(made))
			if want == got {
				continue
			}
		}
		out = append(out, fmt.Sprintf("%s%s:\n%s", upstreamSection(i+1, sectionRequest), note, diffLines(want, got)))
	}
	return out
}

// compareAnswer compares the answer with the expected one.
func (r *Result) compareAnswer() []string {
	want := answerText(r.Case.Answer, r.Case.Answer.Header)
	got := answerText(r.Answer, answerHeader(r.Case.Answer, r.Answer))
	return compareText(answerSection(r.Case.Answer.Status), want, got)
}

func compareText(section, want, got string) []string {
	if want == got {
		return nil
	}
	return []string{section + ":\n" + diffLines(want, got)}
}

// callHeader returns the headers of a call that are compared: those listed and, except for
// content negotiation, all that the mapping sets. Over sockets the mapping's headers cannot
// be distinguished from the client's, so only those listed are compared.
func callHeader(want, got Message, wire bool) []Header {
	return filterHeaders(got.Header, func(name string) bool {
		if want.lists(name) {
			return true
		}
		return !wire && !strings.EqualFold(name, "Content-Type") && !strings.EqualFold(name, "Accept")
	})
}

// answerHeader returns the headers of an answer that are compared: the contract's and those
// listed.
func answerHeader(want, got Message) []Header {
	return filterHeaders(got.Header, func(name string) bool { return isContract(name) || want.lists(name) })
}

func filterHeaders(header []Header, keep func(name string) bool) []Header {
	var out []Header
	for _, h := range header {
		if keep(h.Name) {
			out = append(out, h)
		}
	}
	return out
}

// isContract reports whether a header of an answer is compared even if it is not listed.
func isContract(name string) bool {
	switch strings.ToLower(name) {
	case "portolan-unsupported", "portolan-partial", "portolan-response-warnings", "preference-applied",
		"allow", "retry-after", "etag", "ratelimit-limit", "ratelimit-remaining", "ratelimit-reset":
		return true
	}
	return false
}
