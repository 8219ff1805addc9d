package golden

import (
	"strings"

	"github.com/rogpeppe/go-internal/txtar"
)

// Update returns the case's file with the provider requests and the answer of r in place of
// the expected ones, JSON on one line. Comment, request, account and the provider's answers
// stay. A call that was not made is removed with its answer. A call that was not listed is
// added; its answer must be written by hand. A case that Connects keeps its input sections.
func (c *Case) Update(r *Result) []byte {
	sections := map[string][]byte{}
	for _, f := range c.archive.Files {
		sections[f.Name] = f.Data
	}
	out := &txtar.Archive{Comment: c.archive.Comment}
	add := func(name string, data []byte) { out.Files = append(out.Files, txtar.File{Name: name, Data: data}) }
	if c.Connects() {
		for _, s := range connectSections {
			text := r.connect[s.name]
			if s.input == "" {
				text = c.connect[s.name]
			}
			if text != "" {
				add(s.name, []byte(text+"\n"))
			}
		}
		return txtar.Format(out)
	}
	add(sectionRequest, sections[sectionRequest])
	add(sectionAccount, sections[sectionAccount])
	for i, call := range r.Calls {
		listed := Message{}
		if i < len(c.Upstream) {
			listed = c.Upstream[i].Request
		}
		path, query, _ := strings.Cut(call.Target, "?")
		path = canonicalPath(path)
		if pairs := sortedPairs(query); len(pairs) > 0 {
			path += "?" + strings.Join(pairs, "&")
		}
		add(upstreamSection(i+1, sectionRequest), Message{
			Method: call.Method, Target: path,
			Header: callHeader(listed, call, r.wire), Body: compactBody(call.Body),
		}.format())
		if i < len(c.Upstream) {
			add(upstreamSection(i+1, sectionResponse), sections[upstreamSection(i+1, sectionResponse)])
		}
	}
	add(answerSection(r.Answer.Status), Message{
		Status: r.Answer.Status,
		Header: documentedCase(answerHeader(c.Answer, r.Answer)), Body: compactBody(r.Answer.Body),
	}.format())
	return txtar.Format(out)
}

// documentedCase restores the documented case of header names, which net/http changes.
func documentedCase(header []Header) []Header {
	out := make([]Header, 0, len(header))
	for _, h := range header {
		switch name := strings.ToLower(h.Name); {
		case strings.HasPrefix(name, "ratelimit-"):
			h.Name = name
		case name == "etag":
			h.Name = "ETag"
		}
		out = append(out, h)
	}
	return out
}
