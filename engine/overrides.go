package engine

import (
	"container/list"
	"crypto/sha256"
	"encoding/binary"
	"sync"

	"portolan/source"
)

// Overrides keeps plans with overrides by their content, so that each is compiled once for
// as long as it is in use. It is safe for concurrent use.
type Overrides struct {
	catalog *Catalog
	maximum int

	mu      sync.Mutex
	entries map[overrideContent]*list.Element
	recent  *list.List // of *overridden, the one used last in front
}

// overrideContent is all that a plan with overrides depends on.
type overrideContent struct {
	base *Plan
	sum  [sha256.Size]byte
}

type overridden struct {
	content overrideContent
	compile sync.Once
	plan    *Plan
	found   source.Diagnostics
}

// NewOverrides keeps at most maximum plans of catalog, those that were used last.
func NewOverrides(catalog *Catalog, maximum int) *Overrides {
	return &Overrides{catalog: catalog, maximum: maximum, entries: map[overrideContent]*list.Element{}, recent: list.New()}
}

// Plan is what Catalog.Override gives: base itself where there are no layers, or only empty
// ones. Callers that ask for the same at the same time wait for one compilation.
func (o *Overrides) Plan(base *Plan, layers ...OverrideLayer) (*Plan, source.Diagnostics) {
	content, empty := contentOf(base.Base(), layers)
	if empty {
		return base.Base(), nil
	}
	e := o.entry(content)
	e.compile.Do(func() { e.plan, e.found = o.catalog.Override(base, layers...) })
	if e.found.Failed() { // a busy machine may be the reason: the next caller tries again
		o.forget(e)
	}
	return e.plan, e.found
}

func contentOf(base *Plan, layers []OverrideLayer) (content overrideContent, empty bool) {
	content.base, empty = base, true
	h := sha256.New()
	write := func(s string) {
		h.Write(binary.AppendUvarint(nil, uint64(len(s))))
		h.Write([]byte(s))
	}
	for _, l := range layers {
		if l.isEmpty() {
			continue
		}
		empty = false
		write(l.Name)
		for key := range mappingKeys {
			write(l.source(key))
		}
		if l.Replace {
			write("replace")
		} else {
			write("")
		}
	}
	h.Sum(content.sum[:0])
	return content, empty
}

// entry finds the content's place, or makes it and drops what was not used for longest.
func (o *Overrides) entry(content overrideContent) *overridden {
	o.mu.Lock()
	defer o.mu.Unlock()
	if at, ok := o.entries[content]; ok {
		o.recent.MoveToFront(at)
		return at.Value.(*overridden)
	}
	e := &overridden{content: content}
	o.entries[content] = o.recent.PushFront(e)
	for o.recent.Len() > max(o.maximum, 1) {
		o.remove(o.recent.Back())
	}
	return e
}

func (o *Overrides) forget(e *overridden) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if at, ok := o.entries[e.content]; ok && at.Value == e {
		o.remove(at)
	}
}

func (o *Overrides) remove(at *list.Element) {
	o.recent.Remove(at)
	delete(o.entries, at.Value.(*overridden).content)
}
