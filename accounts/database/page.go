package database

import (
	"encoding/base64"
	"strconv"
	"strings"
	"time"

	"portolan/accounts"
)

// cursor is the item of a list after which a page begins.
type cursor struct {
	at int64 // microseconds
	id string
}

func cursorOf(at time.Time, id string) string {
	return base64.RawURLEncoding.EncodeToString([]byte(strconv.FormatInt(micros(at), 10) + "/" + id))
}

// parseCursor parses a result of cursorOf. The error is ErrCursor.
func parseCursor(text string) (cursor, error) {
	raw, err := base64.RawURLEncoding.Strict().DecodeString(text)
	if err != nil || strings.ContainsAny(text, "\r\n") { // DecodeString skips line breaks
		return cursor{}, accounts.ErrCursor
	}
	number, id, ok := strings.Cut(string(raw), "/")
	at, err := strconv.ParseInt(number, 10, 64)
	if !ok || err != nil || id == "" || !isText(id) {
		return cursor{}, accounts.ErrCursor
	}
	return cursor{at, id}, nil
}

// limitOf returns the maximum length of a page.
func limitOf(p accounts.PageQuery) int {
	if p.Limit <= 0 {
		return accounts.DefaultPage
	}
	return min(p.Limit, accounts.MaxPage)
}

// pageOf returns a page of items. There are limit+1 of them if another page follows.
func pageOf[T any](items []T, limit int, place func(T) string) accounts.Page[T] {
	if len(items) <= limit {
		return accounts.Page[T]{Items: items}
	}
	return accounts.Page[T]{Items: items[:limit], Next: place(items[limit-1])}
}

// where collects conditions and their arguments.
type where struct {
	text strings.Builder
	args []any
}

// and adds a condition. Each ? in it stands for the next of args.
func (w *where) and(condition string, args ...any) {
	if w.text.Len() > 0 {
		w.text.WriteString(" AND ")
	}
	for _, arg := range args {
		w.args = append(w.args, arg)
		condition = strings.Replace(condition, "?", "$"+strconv.Itoa(len(w.args)), 1)
	}
	w.text.WriteString(condition)
}

// after adds the condition that columns, a time and an id, come after the cursor.
func (w *where) after(columns, text string) error {
	if text == "" {
		return nil
	}
	c, err := parseCursor(text)
	if err != nil {
		return err
	}
	w.and("("+columns+") > (?, ?)", c.at, c.id)
	return nil
}
