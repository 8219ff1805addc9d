package main

import (
	"bytes"
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"
)

// byHand is the gateway that somebody would write for this one method of this one provider,
// with typed structs and net/http. It is what the others are compared with.
type byHand struct {
	base     string                 // of the provider, with a slash at its end
	tokens   map[[32]byte]string    // name of a token by its SHA-256
	accounts map[string]credentials // by account id
	client   *http.Client
	log      *slog.Logger
}

type credentials struct{ apiKey, userID string }

// Limits of one call.
const (
	callTimeout   = 30 * time.Second
	requestLimit  = 1 << 20
	responseLimit = 10 << 20
)

// userUpdate is the body of the unified method.
type userUpdate struct {
	FirstName    *string                    `json:"first_name"`
	LastName     *string                    `json:"last_name"`
	Emails       []email                    `json:"emails"`
	Roles        []role                     `json:"roles"`
	CustomFields map[string]json.RawMessage `json:"custom_fields"`
}

type email struct {
	Email string `json:"email"`
	Type  string `json:"type,omitempty"`
}

type role struct {
	ID   string `json:"id,omitempty"`
	Name string `json:"name,omitempty"`
}

// unifiedUser is the answer of the unified method.
type unifiedUser struct {
	ID         string          `json:"id"`
	Name       string          `json:"name,omitempty"`
	FirstName  string          `json:"first_name,omitempty"`
	LastName   string          `json:"last_name,omitempty"`
	Emails     []email         `json:"emails,omitempty"`
	RemoteData json.RawMessage `json:"remote_data,omitempty"`
}

// remoteUpdate is the body of the provider's endpoint, remoteUser its answer.
type (
	remoteUpdate struct {
		Profile remoteProfile `json:"profile"`
	}
	remoteProfile struct {
		FirstName *string `json:"firstName,omitempty"`
		LastName  *string `json:"lastName,omitempty"`
	}
	remoteUser struct {
		ID      string `json:"id"`
		Profile struct {
			FirstName string `json:"firstName"`
			LastName  string `json:"lastName"`
		} `json:"profile"`
		FullName string `json:"fullName"`
		Email    string `json:"email"`
	}
	remoteError struct {
		Message string `json:"message"`
	}
)

// problem is the error envelope.
type problem struct {
	StatusCode  int             `json:"statusCode"`
	Reason      string          `json:"error"`
	Message     string          `json:"message"`
	Remote      bool            `json:"truto_is_remote_error,omitempty"`
	RawResponse json.RawMessage `json:"raw_response,omitempty"`
}

func (p *problem) Error() string { return p.Message }

func newProblem(status int, format string, args ...any) *problem {
	return &problem{StatusCode: status, Reason: http.StatusText(status), Message: fmt.Sprintf(format, args...)}
}

func newByHand(s setup, log io.Writer) *byHand {
	return &byHand{
		base:   s.Provider + s.BasePath,
		tokens: map[[32]byte]string{sha256.Sum256([]byte(s.Token)): "bench"},
		accounts: map[string]credentials{
			s.Account: {apiKey: s.Context["api_key"], userID: s.Context["user_id"]},
		},
		client: &http.Client{Transport: newTransport(), CheckRedirect: func(*http.Request, []*http.Request) error {
			return http.ErrUseLastResponse
		}},
		log: slog.New(slog.NewJSONHandler(log, nil)),
	}
}

func (g *byHand) handler() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("PATCH /unified/ticketing/users/{id}", g.serve)
	return mux
}

// call is what is known about a request while it is served.
type call struct {
	requestID string
	token     string
	account   string
	upstream  time.Duration
}

func (g *byHand) serve(w http.ResponseWriter, r *http.Request) {
	start := time.Now()
	c := &call{requestID: requestID(r.Header.Get("X-Request-Id"))}
	answer, err := g.update(w, r, c)
	status := http.StatusOK
	var body []byte
	if err == nil {
		body, err = json.Marshal(answer)
	}
	if err != nil {
		p, ok := errors.AsType[*problem](err)
		if !ok {
			p = newProblem(http.StatusInternalServerError, "internal error")
		}
		status = p.StatusCode
		body, _ = json.Marshal(p) // it holds text and valid JSON only
	}
	took := time.Since(start)
	h := w.Header()
	h.Set("Content-Type", "application/json")
	h.Set("Content-Length", strconv.Itoa(len(body)))
	h.Set("X-Request-Id", c.requestID)
	h.Set("Server-Timing", "upstream;dur="+milliseconds(c.upstream)+", gateway;dur="+milliseconds(took-c.upstream))
	w.WriteHeader(status)
	_, _ = w.Write(body)
	level, attrs := slog.LevelInfo, []slog.Attr{
		slog.String("request_id", c.requestID),
		slog.String("method", r.Method),
		slog.String("path", r.URL.Path),
		slog.Int("status", status),
		slog.Float64("duration_ms", float64(took.Microseconds())/1000),
		slog.String("token", c.token),
		slog.String("integrated_account_id", c.account),
		slog.Float64("upstream_ms", float64(c.upstream.Microseconds())/1000),
	}
	if err != nil {
		level, attrs = slog.LevelWarn, append(attrs, slog.String("problem", err.Error()))
	}
	g.log.LogAttrs(r.Context(), level, "request", attrs...)
}

// update does the job: it checks the request, calls the provider and maps both ways.
func (g *byHand) update(w http.ResponseWriter, r *http.Request, c *call) (*unifiedUser, error) {
	token, ok := strings.CutPrefix(r.Header.Get("Authorization"), "Bearer ")
	if ok {
		c.token, ok = g.tokens[sha256.Sum256([]byte(token))]
	}
	if !ok {
		return nil, newProblem(http.StatusUnauthorized, "the token is missing or unknown")
	}
	query, err := url.ParseQuery(r.URL.RawQuery)
	if err != nil {
		return nil, newProblem(http.StatusBadRequest, "the query cannot be read")
	}
	withoutRemoteData := false
	for name, values := range query {
		switch {
		case len(values) != 1:
			return nil, newProblem(http.StatusBadRequest, "%s is given %d times", name, len(values))
		case name == "integrated_account_id":
			c.account = strings.ToLower(values[0])
		case name == "truto_ignore_remote_data":
			if withoutRemoteData, err = strconv.ParseBool(values[0]); err != nil {
				return nil, newProblem(http.StatusBadRequest, "%s is not a boolean", name)
			}
		case strings.HasPrefix(name, "truto_"):
			return nil, newProblem(http.StatusBadRequest, "%s is not a known parameter", name)
		}
	}
	account, ok := g.accounts[c.account]
	if !ok {
		return nil, newProblem(http.StatusNotFound, "the account does not exist")
	}
	id := r.PathValue("id")
	if id == "" || id == "." || id == ".." || strings.ContainsFunc(id, func(r rune) bool { return r < ' ' || r == 0x7f }) {
		return nil, newProblem(http.StatusBadRequest, "the id in the path is not valid")
	}
	update, err := readUpdate(w, r)
	if err != nil {
		return nil, err
	}
	if update.FirstName == nil && update.LastName == nil {
		return nil, newProblem(http.StatusBadRequest, "nothing in the body would reach the provider")
	}
	body, err := json.Marshal(remoteUpdate{remoteProfile{update.FirstName, update.LastName}})
	if err != nil {
		return nil, err
	}
	start := time.Now()
	raw, err := g.send(r.Context(), account, id, body)
	c.upstream = time.Since(start)
	if err != nil {
		return nil, err
	}
	var remote remoteUser
	if err := json.Unmarshal(raw, &remote); err != nil {
		return nil, newProblem(http.StatusBadGateway, "the provider's answer is not a user")
	}
	out := mapUser(id, remote)
	if !withoutRemoteData {
		out.RemoteData = raw
	}
	return out, nil
}

func readUpdate(w http.ResponseWriter, r *http.Request) (*userUpdate, error) {
	mediaType, _, _ := strings.Cut(r.Header.Get("Content-Type"), ";")
	switch strings.TrimSpace(mediaType) {
	case "application/json", "application/merge-patch+json":
	default:
		return nil, newProblem(http.StatusUnsupportedMediaType, "the body must be JSON")
	}
	decoder := json.NewDecoder(http.MaxBytesReader(w, r.Body, requestLimit))
	decoder.DisallowUnknownFields()
	update := &userUpdate{}
	if err := decoder.Decode(update); err != nil {
		if tooLarge, ok := errors.AsType[*http.MaxBytesError](err); ok {
			return nil, newProblem(http.StatusRequestEntityTooLarge, "the body is over %d bytes", tooLarge.Limit)
		}
		return nil, newProblem(http.StatusBadRequest, "the body is not a user update: %v", err)
	}
	if _, err := decoder.Token(); !errors.Is(err, io.EOF) {
		return nil, newProblem(http.StatusBadRequest, "there is data after the body")
	}
	for i, e := range update.Emails {
		if e.Email == "" {
			return nil, newProblem(http.StatusBadRequest, "emails/%d/email is required", i)
		}
	}
	return update, nil
}

// send calls the provider and returns the body of its answer, if that is a success.
func (g *byHand) send(ctx context.Context, account credentials, id string, body []byte) (json.RawMessage, error) {
	ctx, cancel := context.WithTimeout(ctx, callTimeout)
	defer cancel()
	target := g.base + "users/" + url.PathEscape(id) + "?user_id=" + url.QueryEscape(account.userID)
	request, err := http.NewRequestWithContext(ctx, http.MethodPut, target, bytes.NewReader(body))
	if err != nil {
		return nil, err
	}
	request.Header.Set("Content-Type", "application/json")
	request.Header.Set("Accept", "application/json")
	request.Header.Set("api_key", account.apiKey) // net/http sends it as Api_key
	response, err := g.client.Do(request)
	if err != nil {
		if errors.Is(err, context.DeadlineExceeded) {
			return nil, newProblem(http.StatusGatewayTimeout, "the provider did not answer in time")
		}
		return nil, newProblem(http.StatusBadGateway, "no answer from the provider")
	}
	defer func() { _ = response.Body.Close() }()
	raw, err := io.ReadAll(io.LimitReader(response.Body, responseLimit+1))
	if err != nil || len(raw) > responseLimit {
		return nil, newProblem(http.StatusBadGateway, "the provider's answer cannot be read")
	}
	if response.StatusCode >= 300 {
		return nil, refusal(response.StatusCode, raw)
	}
	return raw, nil
}

// refusal is the provider's error in the envelope.
func refusal(status int, raw []byte) *problem {
	var said remoteError
	if err := json.Unmarshal(raw, &said); err != nil {
		raw, _ = json.Marshal(string(raw)) // text always has a JSON form
	}
	if status == http.StatusBadRequest {
		switch said.Message { // this provider says 400 for everything
		case "Invalid API Key.":
			status = http.StatusUnauthorized
		case "User not found":
			status = http.StatusNotFound
		}
	}
	p := newProblem(status, "%s", said.Message)
	p.Remote, p.RawResponse = true, raw
	return p
}

func mapUser(id string, remote remoteUser) *unifiedUser {
	out := &unifiedUser{
		ID: remote.ID, Name: remote.FullName,
		FirstName: remote.Profile.FirstName, LastName: remote.Profile.LastName,
	}
	if out.ID == "" {
		out.ID = id
	}
	if out.Name == "" {
		out.Name = strings.TrimSpace(out.FirstName + " " + out.LastName)
	}
	if remote.Email != "" {
		out.Emails = []email{{Email: remote.Email}}
	}
	return out
}

// requestID is the caller's id if it is a sane one, else a new one.
func requestID(given string) string {
	sane := given != "" && len(given) <= 128 && !strings.ContainsFunc(given, func(r rune) bool {
		return (r < 'a' || r > 'z') && (r < 'A' || r > 'Z') && (r < '0' || r > '9') && !strings.ContainsRune("._-", r)
	})
	if sane {
		return given
	}
	var random [16]byte
	_, _ = rand.Read(random[:]) // never fails
	return hex.EncodeToString(random[:])
}

func milliseconds(d time.Duration) string {
	return strconv.FormatFloat(float64(d.Microseconds())/1000, 'f', 3, 64)
}
