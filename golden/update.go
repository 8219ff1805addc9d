package golden

import (
	"strings"

	"github.com/rogpeppe/go-internal/txtar"
)

// Update gives the case's file with what r got in place of what was expected: the
// requests to the provider and the answer, JSON on one line. Comment, request, account
// and the provider's answers stay as they are. A call that was not made goes, with its
// answer; for one that was not listed the provider's answer is left to be written.
func (c *Case) Update(r *Result) []byte {
	kept := map[string][]byte{}
	for _, f := range c.archive.Files {
		kept[f.Name] = f.Data
	}
	out := &txtar.Archive{Comment: c.archive.Comment}
	add := func(name string, data []byte) { out.Files = append(out.Files, txtar.File{Name: name, Data: data}) }
	add(sectionRequest, kept[sectionRequest])
	add(sectionAccount, kept[sectionAccount])
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
			add(upstreamSection(i+1, sectionResponse), kept[upstreamSection(i+1, sectionResponse)])
		}
	}
	add(answerSection(r.Answer.Status), Message{
		Status: r.Answer.Status,
		Header: spelled(answerHeader(c.Answer, r.Answer)), Body: compactBody(r.Answer.Body),
	}.format())
	return txtar.Format(out)
}

// spelled gives headers the spelling of the documents, which net/http does not keep.
func spelled(header []Header) []Header {
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
