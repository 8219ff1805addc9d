package main

import (
	"bufio"
	"bytes"
	"context"
	"fmt"
	"io"
	"maps"
	"net"
	"slices"
	"strconv"
	"strings"
	"time"
)

// load is a closed loop: each client sends its next call when the answer to the last is there.
type load struct {
	Address  string        `json:"address"` // host and port
	Exchange exchange      `json:"exchange"`
	Token    string        `json:"token"` // empty if the calls have none
	Clients  int           `json:"clients"`
	First    int64         `json:"first"` // number of the first call; no two calls of a run have the same
	Warm     time.Duration `json:"warm"`  // not measured, but counted
	Measured time.Duration `json:"measured"`
}

// measured is the outcome of a load of which every answer was right.
type measured struct {
	AllCalls int           `json:"all_calls"` // with those that were not measured
	Calls    int           `json:"calls"`
	Took     time.Duration `json:"took"`
	P50      time.Duration `json:"p50"`
	P99      time.Duration `json:"p99"`
}

func (l load) run(ctx context.Context) (measured, error) {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	clients := make([]*client, l.Clients)
	for i := range clients {
		c, err := l.newClient(ctx, l.First+int64(i))
		if err != nil {
			return measured{}, err
		}
		defer func() { _ = c.conn.Close() }()
		clients[i] = c
	}
	start := time.Now()
	warm, end := start.Add(l.Warm), start.Add(l.Warm+l.Measured)
	done := make(chan error)
	for _, c := range clients {
		go func() { done <- c.loop(ctx, warm, end) }()
	}
	var out measured
	for range clients {
		if err := <-done; err != nil {
			cancel(err)
		}
	}
	if err := context.Cause(ctx); err != nil {
		return measured{}, err
	}
	var all []time.Duration
	for _, c := range clients {
		out.AllCalls += c.calls
		all = append(all, c.latencies...)
	}
	if len(all) == 0 {
		return measured{}, fmt.Errorf("no call ended within %s", l.Measured)
	}
	slices.Sort(all)
	out.Calls, out.Took = len(all), l.Measured
	out.P50, out.P99 = all[len(all)/2], all[len(all)*99/100]
	return out, nil
}

// client is one connection. It speaks HTTP/1.1 itself: a client library would take a share of
// the machine as large as a gateway.
type client struct {
	conn              net.Conn
	in                *bufio.Reader
	head              []byte // between request line and length
	method            string
	path, body        template
	answer            template
	wanted            []string // header names of the answer, in lower case
	number, step      int64
	request, expected []byte
	received          []byte
	calls             int
	latencies         []time.Duration
}

func (l load) newClient(ctx context.Context, number int64) (*client, error) {
	conn, err := (&net.Dialer{}).DialContext(ctx, "tcp", l.Address)
	if err != nil {
		return nil, err
	}
	var head strings.Builder
	fmt.Fprintf(&head, " HTTP/1.1\r\nHost: %s\r\n", l.Address)
	for _, name := range slices.Sorted(maps.Keys(l.Exchange.Headers)) {
		fmt.Fprintf(&head, "%s: %s\r\n", name, l.Exchange.Headers[name])
	}
	if l.Token != "" {
		fmt.Fprintf(&head, "Authorization: Bearer %s\r\n", l.Token)
	}
	head.WriteString("Content-Length: ")
	c := &client{
		conn: conn, in: bufio.NewReaderSize(conn, 16<<10), head: []byte(head.String()),
		method: l.Exchange.Method, path: l.Exchange.Path.template(),
		body: l.Exchange.Body.template(), answer: l.Exchange.Answer.template(),
		number: number, step: int64(l.Clients), latencies: make([]time.Duration, 0, 1<<14),
	}
	for _, name := range l.Exchange.AnswerHeaders {
		c.wanted = append(c.wanted, strings.ToLower(name))
	}
	return c, nil
}

// loop calls until end. Calls that begin before warm are not measured.
func (c *client) loop(ctx context.Context, warm, end time.Time) error {
	if err := c.conn.SetDeadline(end.Add(10 * time.Second)); err != nil {
		return err
	}
	for ctx.Err() == nil {
		c.prepare()
		start := time.Now()
		if start.After(end) {
			return nil
		}
		if _, err := c.conn.Write(c.request); err != nil {
			return err
		}
		if err := c.read(); err != nil {
			return fmt.Errorf("call %d: %w", c.number, err)
		}
		took := time.Since(start)
		c.calls++
		if start.After(warm) && start.Add(took).Before(end) {
			c.latencies = append(c.latencies, took)
		}
		c.number += c.step
	}
	return nil
}

// prepare makes the request and the answer that is expected, both different in every call.
func (c *client) prepare() {
	n := strconv.FormatInt(c.number, 36)
	// An id of 17 letters and digits.
	u := user{id: "HQMZTRKBVXCL"[min(len(n), 12):] + n + "XcLs4", first: "Zoë-" + n, last: "Quintbarrow-" + n}
	body := c.body.append(c.expected[:0], u)
	c.request = append(append(c.request[:0], c.method...), ' ')
	c.request = append(c.path.append(c.request, u), c.head...)
	c.request = append(strconv.AppendInt(c.request, int64(len(body)), 10), "\r\n\r\n"...)
	c.request = append(c.request, body...)
	c.expected = c.answer.append(c.expected[:0], u)
}

// read reads an answer and compares it with the expected one, byte by byte. A line may end it.
func (c *client) read() error {
	line, err := c.in.ReadSlice('\n')
	if err != nil {
		return err
	}
	status := string(bytes.TrimSpace(line))
	length, seen, isJSON := -1, 0, false
	for {
		if line, err = c.in.ReadSlice('\n'); err != nil {
			return err
		}
		if line = bytes.TrimSpace(line); len(line) == 0 {
			break
		}
		name, value, _ := bytes.Cut(line, []byte(":"))
		value = bytes.TrimSpace(value)
		switch {
		case bytes.EqualFold(name, []byte("Content-Length")):
			if length, err = strconv.Atoi(string(value)); err != nil {
				return err
			}
		case bytes.EqualFold(name, []byte("Content-Type")):
			isJSON = bytes.HasPrefix(value, []byte("application/json"))
		}
		for _, wanted := range c.wanted {
			if len(value) > 0 && strings.EqualFold(string(name), wanted) {
				seen++
			}
		}
	}
	if length < 0 || length > 1<<20 {
		return fmt.Errorf("%s, length %d", status, length)
	}
	c.received = slices.Grow(c.received[:0], length)[:length]
	if _, err := io.ReadFull(c.in, c.received); err != nil {
		return err
	}
	switch {
	case status != "HTTP/1.1 200 OK":
		return fmt.Errorf("%s: %s", status, c.received)
	case !isJSON:
		return fmt.Errorf("the content type is not application/json: %s", c.received)
	case seen != len(c.wanted):
		return fmt.Errorf("%d of the headers %v", seen, c.wanted)
	case !bytes.Equal(bytes.TrimSuffix(c.received, []byte("\n")), c.expected):
		return fmt.Errorf("the answer is\n%s\nand should be\n%s", c.received, c.expected)
	}
	return nil
}
