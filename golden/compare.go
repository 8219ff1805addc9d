package golden

import (
	"fmt"
	"slices"
	"strings"
)

// State is how the run of a case ended.
type State int

// The states.
const (
	Failed        State = iota // something differs: Result.Diff
	Passed                     // all that this way of running compares is as the case says
	NotApplicable              // this way of running never gets to what the case is about
)

// String names the state in lower case.
func (s State) String() string {
	return [...]string{"failed", "passed", "not applicable"}[s]
}

// Result is what the run of a case gave.
type Result struct {
	Case   *Case
	State  State
	Calls  []Message // the provider calls made, in order
	Answer Message   // what the caller got
	Diff   string    // what differs: lines with - are the case's, with + the run's; "" unless Failed
	wire   bool
}

// mappingHeader is of no concern to a case.
const mappingHeader = "Portolan-Mapping"

// judge sets State and Diff by the differences found.
func (r *Result) judge(differences ...[]string) *Result {
	found := slices.Concat(differences...)
	r.Diff = strings.Join(found, "\n")
	r.State = Failed
	if len(found) == 0 {
		r.State = Passed
	}
	return r
}

// compareCalls holds the calls made against those listed, one by one.
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

// compareAnswer holds what the caller got against what the case says.
func (r *Result) compareAnswer() []string {
	want := answerText(r.Case.Answer, r.Case.Answer.Header)
	got := answerText(r.Answer, answerHeader(r.Case.Answer, r.Answer))
	return differ(answerSection(r.Case.Answer.Status), want, got)
}

func differ(section, want, got string) []string {
	if want == got {
		return nil
	}
	return []string{section + ":\n" + diffLines(want, got)}
}

// callHeader picks those headers of a call that count: all that the mapping sets, of
// content negotiation what is listed. On the wire nothing tells a mapping's headers from
// the client's own, so there only what is listed counts.
func callHeader(want, got Message, wire bool) []Header {
	return pick(got.Header, func(name string) bool {
		if want.lists(name) {
			return true
		}
		return !wire && !strings.EqualFold(name, "Content-Type") && !strings.EqualFold(name, "Accept")
	})
}

// answerHeader picks those headers of an answer that count: the contract's always, others
// where they are listed.
func answerHeader(want, got Message) []Header {
	return pick(got.Header, func(name string) bool { return isContract(name) || want.lists(name) })
}

func pick(header []Header, counts func(name string) bool) []Header {
	var out []Header
	for _, h := range header {
		if counts(h.Name) {
			out = append(out, h)
		}
	}
	return out
}

// isContract reports whether a header of an answer is there exactly if the case lists it.
func isContract(name string) bool {
	switch strings.ToLower(name) {
	case "portolan-unsupported", "portolan-partial", "portolan-response-warnings", "preference-applied",
		"allow", "retry-after", "etag", "ratelimit-limit", "ratelimit-remaining", "ratelimit-reset":
		return true
	}
	return false
}
