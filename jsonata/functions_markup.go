package jsonata

import (
	"bytes"
	"encoding/base64"
	"encoding/xml"
	"errors"
	"fmt"
	"io"
	"maps"
	"path"
	"regexp"
	"slices"
	"strings"

	tomarkdown "github.com/JohannesKaufmann/html-to-markdown/v2/converter"
	"github.com/JohannesKaufmann/html-to-markdown/v2/plugin/base"
	"github.com/JohannesKaufmann/html-to-markdown/v2/plugin/commonmark"
	"github.com/JohannesKaufmann/html-to-markdown/v2/plugin/strikethrough"
	"github.com/JohannesKaufmann/html-to-markdown/v2/plugin/table"
	"github.com/yuin/goldmark"
	"github.com/yuin/goldmark/extension"
	"github.com/yuin/goldmark/renderer/html"

	"portolan/plain"
)

var xmlAttribute = regexp.MustCompile(`([^\s=]+)\s*=\s*["']([^"']*)["']`)

// maxMarkup is the longest text that is converted from HTML or Markdown, in bytes: nested markup
// costs more than its length.
const maxMarkup = 100 << 10

func markup(args []any) (string, bool, error) {
	s, ok, err := text(args, 0)
	if err == nil && len(s) > maxMarkup {
		err = errors.New("the text is longer than 100 KiB")
	}
	return s, ok, err
}

func convertHTMLToMarkdown(args []any) (any, error) {
	s, ok, err := markup(args)
	if err != nil || !ok {
		return "", err
	}
	plugins := []tomarkdown.Plugin{
		base.NewBasePlugin(),
		commonmark.NewCommonmarkPlugin(
			commonmark.WithHeadingStyle(commonmark.HeadingStyleSetext), commonmark.WithEmDelimiter("_"),
			commonmark.WithHorizontalRule("* * *"), commonmark.WithBulletListMarker("*"),
		),
		strikethrough.NewStrikethroughPlugin(),
	}
	if hasPlainTables(s) {
		plugins = append(plugins, table.NewTablePlugin())
	}
	out, err := tomarkdown.NewConverter(tomarkdown.WithPlugins(plugins...)).ConvertString(s)
	if err != nil {
		return nil, errors.New("the text is not HTML")
	}
	return out, nil
}

// maxCells is the number of cells up to which tables in HTML become tables.
const maxCells = 10_000

// hasPlainTables reports whether the tables in s have at most maxCells cells, all rows filled up to the
// longest one, and no cell over several columns or rows, of which there may be millions.
func hasPlainTables(s string) bool {
	s = strings.ToLower(s)
	rows := strings.Split(s, "<tr")
	longest := 0
	for _, row := range rows {
		longest = max(longest, strings.Count(row, "<td")+strings.Count(row, "<th"))
	}
	return len(rows)*longest <= maxCells && !strings.Contains(s, "colspan") && !strings.Contains(s, "rowspan")
}

const (
	maxNested = 40 // levels of quotations and lists in Markdown
	maxLinks  = 3000
	markers   = "> \t-*+.)0123456789" // that begin those levels
)

var marker = regexp.MustCompile(`>|[-*+.)][ \t]`)

func convertMarkdownToHTML(args []any) (any, error) {
	s, ok, err := markup(args)
	if err != nil || !ok {
		return nil, err
	}
	for line := range strings.Lines(s) {
		if start := line[:len(line)-len(strings.TrimLeft(line, markers))]; len(marker.FindAllStringIndex(start, maxNested+1)) > maxNested {
			return nil, errors.New("quotations and lists are nested deeper than 40 levels")
		}
	}
	if strings.Count(s, "](") > maxLinks {
		return nil, errors.New("the text has more than 3,000 links")
	}
	var out bytes.Buffer
	if err := goldmark.New(goldmark.WithExtensions(extension.GFM), goldmark.WithRendererOptions(html.WithUnsafe())).Convert([]byte(s), &out); err != nil {
		return nil, errors.New("the text is not Markdown")
	}
	return out.String(), nil
}

// csvOptions are those of $jsonToCsv.
type csvOptions struct {
	Delimiter string
	Fields    []string
	Header    *bool
}

// jsonToCsv writes objects as lines of CSV. The columns are the members of all objects, sorted.
func jsonToCsv(args []any) (any, error) {
	o := csvOptions{Delimiter: ","}
	if len(args) > 1 {
		if object, ok := args[1].(map[string]any); ok {
			if _, isText := object["delimiter"].(string); !isText {
				object = maps.Clone(object)
				delete(object, "delimiter")
				args = []any{args[0], object}
			}
		}
	}
	if err := options(args, 1, &o); err != nil {
		return nil, err
	}
	rows := items(args[0])
	fields := o.Fields
	if fields == nil {
		seen := map[string]bool{}
		for _, row := range rows {
			object, ok := row.(map[string]any)
			if !ok {
				return nil, errors.New("expects objects")
			}
			for name := range object {
				seen[name] = true
			}
		}
		fields = slices.Sorted(maps.Keys(seen))
	}
	var lines []string
	cells := make([]string, len(fields))
	if header := o.Header == nil || *o.Header; header && len(rows) > 0 {
		for i, name := range fields {
			cells[i] = quotedCell(name)
		}
		lines = append(lines, strings.Join(cells, o.Delimiter))
	}
	left := maxWritten
	for _, row := range rows {
		for i, name := range fields {
			v, _ := at(row, name)
			cell, err := csvCell(v)
			if left -= len(cell) + len(o.Delimiter); err != nil || left < 0 {
				return nil, errors.Join(err, ErrTooLarge)
			}
			cells[i] = cell
		}
		lines = append(lines, strings.Join(cells, o.Delimiter))
	}
	return strings.Join(lines, "\n"), nil
}

func csvCell(v any) (string, error) {
	switch v := v.(type) {
	case nil:
		return "", nil
	case string:
		return quotedCell(v), nil
	case []any, map[string]any:
		src, err := plain.Append(nil, v)
		return quotedCell(string(src)), err
	default:
		return jsText(v), nil
	}
}

func quotedCell(s string) string { return `"` + strings.ReplaceAll(s, `"`, `""`) + `"` }

// xmlToJs reads XML into objects: _attributes, _text, _cdata, _comment and elements by name.
func xmlToJs(args []any) (any, error) {
	s, ok, err := text(args, 0)
	if !ok {
		return nil, err
	}
	if len(args) > 1 && args[1] != nil {
		if o, ok := args[1].(map[string]any); !ok || o["compact"] == false {
			return nil, errors.New("knows the compact form only")
		}
	}
	d := xml.NewDecoder(strings.NewReader(s))
	root := map[string]any{}
	open, names := []map[string]any{root}, []string(nil)
	for {
		start := d.InputOffset()
		token, err := d.RawToken()
		if errors.Is(err, io.EOF) && len(names) == 0 {
			return root, nil
		}
		if err != nil {
			return nil, errors.New("the text is not XML")
		}
		at := open[len(open)-1]
		switch t := token.(type) {
		case xml.StartElement:
			element := map[string]any{}
			if len(t.Attr) > 0 {
				attributes := map[string]any{}
				for _, a := range t.Attr {
					attributes[xmlName(a.Name)] = a.Value
				}
				element["_attributes"] = attributes
			}
			addXML(at, xmlName(t.Name), element)
			open, names = append(open, element), append(names, xmlName(t.Name))
			if len(open) > MaxValueDepth/2 {
				return nil, ErrTooDeep
			}
		case xml.EndElement:
			if len(names) == 0 || names[len(names)-1] != xmlName(t.Name) {
				return nil, errors.New("the text is not XML")
			}
			open, names = open[:len(open)-1], names[:len(names)-1]
		case xml.CharData:
			switch blank := strings.TrimSpace(string(t)) == ""; {
			case blank:
			case len(names) == 0:
				return nil, errors.New("the text is not XML")
			case strings.HasPrefix(s[start:], "<![CDATA["):
				addXML(at, "_cdata", string(t))
			default:
				addXML(at, "_text", string(t))
			}
		case xml.Comment:
			addXML(at, "_comment", string(t))
		case xml.ProcInst:
			if t.Target == "xml" {
				attributes := map[string]any{}
				for _, m := range xmlAttribute.FindAllStringSubmatch(string(t.Inst), -1) {
					attributes[m[1]] = m[2]
				}
				at["_declaration"] = map[string]any{"_attributes": attributes}
			}
		}
	}
}

func xmlName(n xml.Name) string {
	if n.Space != "" {
		return n.Space + ":" + n.Local
	}
	return n.Local
}

// addXML adds a member; a second one of the name makes an array.
func addXML(object map[string]any, name string, v any) {
	if first, found := object[name]; found {
		v = append(items(first), v)
	}
	object[name] = v
}

// jsToXML writes what xmlToJs reads. Elements come sorted by name.
func jsToXML(args []any) (any, error) {
	if args[0] == nil {
		return "", nil
	}
	object, ok := args[0].(map[string]any)
	if !ok {
		return nil, errors.New("expects an object")
	}
	spaces := 0.0
	if len(args) > 1 && args[1] != nil {
		o, ok := args[1].(map[string]any)
		if !ok || o["compact"] == false {
			return nil, errors.New("knows the compact form only")
		}
		spaces, _ = number(o["spaces"])
	}
	w := xmlWriter{spaces: int(min(max(spaces, 0), 8)), left: maxWritten}
	w.members(object, 0)
	if w.err != nil {
		return nil, w.err
	}
	return strings.TrimPrefix(w.out.String(), "\n"), nil
}

type xmlWriter struct {
	out    strings.Builder
	spaces int
	left   int // bytes
	err    error
}

func (w *xmlWriter) put(s string) {
	if w.left -= len(s); w.left < 0 && w.err == nil {
		w.err = ErrTooLarge
	}
	if w.err == nil {
		w.out.WriteString(s)
	}
}

func (w *xmlWriter) escape(s string) {
	w.put(strings.NewReplacer("&", "&amp;", "<", "&lt;", ">", "&gt;", `"`, "&quot;").Replace(s))
}

func (w *xmlWriter) attributes(v any) {
	object, _ := v.(map[string]any)
	for _, name := range slices.Sorted(maps.Keys(object)) {
		w.name(name)
		w.put(" " + name + `="`)
		w.escape(jsText(object[name]))
		w.put(`"`)
	}
}

func (w *xmlWriter) name(name string) {
	if strings.ContainsAny(name, " \t\r\n<>&\"'/=") || name == "" {
		w.err = errors.New("a name is not one of XML")
	}
}

// members writes the content of an element. It reports whether there are elements in it.
func (w *xmlWriter) members(object map[string]any, depth int) (elements bool) {
	if declared, ok := object["_declaration"].(map[string]any); ok {
		w.put("<?xml")
		w.attributes(declared["_attributes"])
		w.put("?>")
	}
	for _, name := range slices.Sorted(maps.Keys(object)) {
		for _, v := range items(object[name]) {
			switch name {
			case "_attributes", "_declaration":
			case "_text":
				w.escape(jsText(v))
			case "_cdata":
				w.put("<![CDATA[" + strings.ReplaceAll(jsText(v), "]]>", "]]]]><![CDATA[>") + "]]>")
			case "_comment":
				comment := strings.ReplaceAll(strings.ReplaceAll(jsText(v), "--", "- -"), "--", "- -")
				if strings.HasSuffix(comment, "-") {
					comment += " "
				}
				w.put("<!--" + comment + "-->")
			default:
				elements = true
				w.element(name, v, depth)
			}
		}
	}
	return elements
}

func (w *xmlWriter) element(name string, v any, depth int) {
	w.name(name)
	if w.err != nil {
		return
	}
	indent := ""
	if w.spaces > 0 {
		indent = "\n" + strings.Repeat(" ", w.spaces*depth)
	}
	w.put(indent + "<" + name)
	object, ok := v.(map[string]any)
	if !ok {
		object = map[string]any{"_text": v}
	}
	w.attributes(object["_attributes"])
	if size := len(object); size == 0 || size == 1 && object["_attributes"] != nil {
		w.put("/>")
		return
	}
	w.put(">")
	if !w.members(object, depth+1) {
		indent = ""
	}
	w.put(indent + "</" + name + ">")
}

// mimeTypes by extension.
var mimeTypes = map[string]string{
	"aac": "audio/aac", "avi": "video/x-msvideo", "bmp": "image/bmp", "css": "text/css", "csv": "text/csv", "doc": "application/msword",
	"docx": "application/vnd.openxmlformats-officedocument.wordprocessingml.document", "eml": "message/rfc822", "gif": "image/gif",
	"gz": "application/gzip", "heic": "image/heic", "htm": "text/html", "html": "text/html", "ics": "text/calendar", "jpeg": "image/jpeg",
	"jpg": "image/jpeg", "js": "text/javascript", "json": "application/json", "md": "text/markdown", "mov": "video/quicktime", "mp3": "audio/mpeg",
	"mp4": "video/mp4", "odp": "application/vnd.oasis.opendocument.presentation", "ods": "application/vnd.oasis.opendocument.spreadsheet",
	"odt": "application/vnd.oasis.opendocument.text", "pdf": "application/pdf", "png": "image/png", "ppt": "application/vnd.ms-powerpoint",
	"pptx": "application/vnd.openxmlformats-officedocument.presentationml.presentation", "rtf": "application/rtf", "svg": "image/svg+xml",
	"tar": "application/x-tar", "tif": "image/tiff", "tiff": "image/tiff", "txt": "text/plain", "vcf": "text/x-vcard", "wav": "audio/wav",
	"webm": "video/webm", "webp": "image/webp", "xls": "application/vnd.ms-excel",
	"xlsx": "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet", "xml": "text/xml", "yaml": "text/yaml", "yml": "text/yaml", "zip": "application/zip",
}

// getMimeType returns the media type of a file's name or extension; null if it is not known.
func getMimeType(args []any) (any, error) {
	s, _, err := text(args, 0)
	if err != nil {
		return nil, err
	}
	if extension := path.Ext(s); extension != "" {
		s = extension[1:]
	}
	if found, ok := mimeTypes[strings.ToLower(s)]; ok {
		return found, nil
	}
	return jsonNullValue, nil
}

// getDataURI returns a text as a data URI.
func getDataURI(args []any) (any, error) {
	s, ok, err := text(args, 0)
	if !ok {
		return nil, err
	}
	kind, ok, err := text(args, 1)
	if err != nil || !ok {
		return nil, errors.New("expects a media type as argument 2")
	}
	return fmt.Sprintf("data:%s;base64,%s", kind, base64.StdEncoding.EncodeToString([]byte(s))), nil
}
