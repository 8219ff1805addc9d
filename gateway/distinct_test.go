package gateway

import (
	"math/rand/v2"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// scanned is distinct as it is defined, at the cost of the square.
func scanned(failures []Failure) []Failure {
	var out []Failure
	for _, f := range failures {
		if !slices.ContainsFunc(out, func(o Failure) bool {
			if o.Pointer == f.Pointer && o.Code == f.Code {
				return true
			}
			return (o.Code == CodeNull || o.Code == CodeType) && (f.Pointer == o.Pointer || strings.HasPrefix(f.Pointer, o.Pointer+"/"))
		}) {
			out = append(out, f)
		}
	}
	return out
}

func TestDistinctKeepsWhatAScanKeeps(t *testing.T) {
	t.Parallel()
	pointers := []string{"", "/", "/a", "/a/", "/a/b", "/a/b/0", "/ab", "/b", "?", "?a", "?a/b", "?a[0]", "{id}", "/a~1b"}
	codes := []Code{CodeType, CodeNull, CodeEnum, CodeRequired, CodeAdditional, CodeFormat}
	random := rand.New(rand.NewPCG(1, 2))
	for range 2000 {
		var failures []Failure
		for i := range random.IntN(12) {
			failures = append(failures, Failure{
				Pointer: pointers[random.IntN(len(pointers))], Code: codes[random.IntN(len(codes))], Message: strconv.Itoa(i),
			})
		}
		if diff := cmp.Diff(scanned(failures), Distinct(failures)); diff != "" {
			t.Fatalf("%v\n(-want +got)\n%s", failures, diff)
		}
	}
}

// A failure costs as many steps as its pointer has segments, whatever came before it.
func TestDistinctIsLinear(t *testing.T) {
	t.Parallel()
	const n = 100_000
	for name, pointer := range map[string]func(i int) (string, Code){
		"many places": func(i int) (string, Code) { return "/emails/" + strconv.Itoa(i), CodeType },
		"one place":   func(int) (string, Code) { return "/emails/0", CodeAdditional },
		"inside a type": func(i int) (string, Code) {
			return "/emails" + strings.Repeat("/"+strconv.Itoa(i), min(i, 1)), CodeType
		},
		"required there": func(i int) (string, Code) { return "/emails/" + strconv.Itoa(i/2), []Code{CodeRequired, CodeEnum}[i%2] },
	} {
		failures := make([]Failure, n)
		segments := 0
		for i := range failures {
			failures[i].Pointer, failures[i].Code = pointer(i)
			segments += strings.Count(failures[i].Pointer, "/") + 1
		}
		var places placeTree
		kept := places.distinct(failures)
		if places.steps > segments {
			t.Errorf("%s: %d steps for %d segments, %d kept", name, places.steps, segments, len(kept))
		}
		if places.steps < n {
			t.Errorf("%s: %d steps were counted for %d failures", name, places.steps, n)
		}
	}
}

func TestNullsStopBeingBuilt(t *testing.T) {
	t.Parallel()
	list := make([]any, 5*MaxFailures)
	for i := range list {
		list[i] = map[string]any{"email": nil}
	}
	unified := map[string]any{"properties": map[string]any{"emails": map[string]any{"items": map[string]any{
		"properties": map[string]any{"email": map[string]any{}},
	}}}}
	found := nullFailures(map[string]any{"emails": list}, unified, nil)
	if len(found) != MaxFailures || found[MaxFailures-1].Pointer != "/emails/999/email" {
		t.Errorf("%d failures, the last at %s", len(found), found[len(found)-1].Pointer)
	}
}
