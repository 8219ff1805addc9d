package gateway

import (
	"context"
	"log/slog"
	"maps"
	"regexp"
	"slices"
	"strings"
	"sync"

	"portolan/accounts"
	"portolan/engine"
	"portolan/schemas"
)

// Format is the shape of a successful answer.
type Format string

// The formats.
const (
	FormatUnified    Format = "unified"
	FormatNormalized Format = "normalized"
	FormatDebug      Format = "debug" // the unified record; the face adds Report.Debug
	FormatRaw        Format = "raw"   // the provider's answer, unchanged
)

// Options control how a call is carried out and answered.
type Options struct {
	Format           Format   // "" is FormatUnified
	Strict           bool     // refuse fields that are not supported
	PlanOnly         bool     // make no call
	IgnoreRemoteData bool     // leave remote_data out
	Exclude          []string // top-level fields to leave out
}

// Input is the caller's request. It is only read.
type Input struct {
	Body        map[string]any // nil: none
	Query       map[string]any // the unified parameters
	RawQuery    map[string]any // all parameters as decoded
	RemoteQuery []engine.Param // sent to the provider unchanged
	Header      []engine.Param // sent to the provider unchanged
	Options     Options
	Failures    []Failure      // found by the face; reported together with the others
	Samples     map[string]any // sample answers of before steps by name; Options.PlanOnly only
}

// Outcome is a call that succeeded.
type Outcome struct {
	Report *Report
	Status int
	Header []Header
	// Body is the record as JSON or, with FormatRaw, the provider's body. nil: no call was
	// made, or the provider's body is empty.
	Body []byte
}

// Do checks in, carries the call out and maps its answer.
func (r *Ready) Do(ctx context.Context, in *Input) (*Outcome, *Problem) {
	req := r.request(in)
	receipts, failures := r.check(req, in)
	if len(failures) > 0 {
		p := Invalid(failures)
		p.Report = r.report(receipts)
		return nil, p
	}
	own := &credentials{gateway: r.gateway, requestID: r.caller.RequestID, account: r.account}
	admission := &admission{settings: &r.gateway.settings}
	defer admission.leave()
	req.Admit = admission.admit
	result, err := r.carryOut(ctx, req, in, own)
	report := r.finishedReport(req, receipts, own, result)
	if err != nil {
		report.unsent = result == nil || result.Main == nil
		return nil, problemOf(err, report)
	}
	if in.Options.PlanOnly {
		return &Outcome{Report: report, Status: statusOK, Header: report.Header()}, nil
	}
	if in.Options.Format == FormatRaw {
		return rawOutcome(report), nil
	}
	record, schema := result.Output.Records[0], r.method.response
	if in.Options.Format == FormatNormalized {
		record, schema = r.method.normalize(record), r.method.normalized
	}
	warnings, p := r.checkRecord(ctx, &record, schema)
	if p != nil {
		p.Report = report
		return nil, p
	}
	report.Warnings = slices.Concat(warnings, transcoded(result))
	return &Outcome{Report: report, Status: statusOK, Header: report.Header(), Body: r.method.encode(&record, &in.Options)}, nil
}

// request returns the engine's request.
func (r *Ready) request(in *Input) *engine.Request {
	return &engine.Request{
		ID: r.target.ID, Body: in.Body,
		Query:    completeConsts(r.snapshot.schemas[r.plan.Base()].queryDoc, in.Query),
		RawQuery: in.RawQuery, RemoteQuery: in.RemoteQuery, Header: in.Header,
		Environment: r.account.Environment, Account: r.account.ID,
		Context: engine.Context(r.account.Context), BaseURL: r.account.BaseURL,
	}
}

// carryOut calls the provider, or plans the calls.
func (r *Ready) carryOut(ctx context.Context, req *engine.Request, in *Input, own *credentials) (*engine.Result, error) {
	if in.Options.PlanOnly {
		return r.gateway.engine.Plan(ctx, r.plan, req, in.Samples)
	}
	if p := own.fresh(ctx); p != nil {
		return nil, p
	}
	with := *req
	with.Context, with.Renewer = engine.Context(own.account.Context), own.renewer()
	mode := engine.Full
	if in.Options.Format == FormatRaw {
		mode = engine.MainOnly
	}
	return r.gateway.engine.Do(ctx, r.plan, &with, mode)
}

// report returns the report of a call that is refused before it is carried out.
func (r *Ready) report(receipts []engine.Receipt) *Report {
	out := &Report{
		Integration: r.account.Integration, Operation: r.target.Operation.String(),
		Environment: r.account.Environment, AccountID: r.account.ID, Receipts: receipts, refused: true, unsent: true,
	}
	if r.plan != nil {
		out.Mapping, out.plan = r.plan.Version(), r.plan
	}
	return out
}

// finishedReport returns the report of a call that was carried out.
func (r *Ready) finishedReport(req *engine.Request, receipts []engine.Receipt, own *credentials, result *engine.Result) *Report {
	out := r.report(receipts)
	out.refused, out.unsent, out.body, out.Result, out.ended = false, false, req.Body, result, r.gateway.engine.Now()
	var steps []engine.StepResult
	if result != nil {
		steps = result.Steps
	}
	out.secrets = sync.OnceValue(func() *masker {
		return newMasker(own.account, r.plan.Integration().Credentials, own.seen, steps)
	})
	return out
}

// transcoded returns a warning for each answer whose bytes are not what expressions and the record
// contain.
func transcoded(result *engine.Result) []string {
	var warnings []string
	for i := range result.Steps {
		s := &result.Steps[i]
		if s.Reply == nil {
			continue
		}
		if _, changed := s.Reply.Text(); changed {
			warnings = append(warnings, "the answer to "+s.Name+" is not UTF-8: it was converted, and what cannot be converted is U+FFFD")
		}
	}
	return warnings
}

// entityTag is the grammar of RFC 9110, section 8.8.3, for US-ASCII.
var entityTag = regexp.MustCompile(`^(W/)?"[!#-~]*"$`)

// rawOutcome returns the provider's answer, byte for byte.
func rawOutcome(report *Report) *Outcome {
	reply := report.Result.Main.Reply
	header := report.Header()
	if v := reply.HeaderValue("Content-Type"); v != "" {
		header = append(header, Header{"Content-Type", v})
	}
	if v := reply.HeaderValue("Etag"); entityTag.MatchString(v) {
		header = append(header, Header{"Etag", v})
	}
	return &Outcome{Report: report, Status: reply.Status, Header: header, Body: reply.Body}
}

// checkRecord validates the record by a response schema.
func (r *Ready) checkRecord(ctx context.Context, record *engine.Record, schema *schemas.Schema) ([]string, *Problem) {
	if r.gateway.policy == PolicyOff || schema == nil {
		return nil, nil
	}
	findings := SchemaFailures(schema, record.Fields)
	if r.plan != r.plan.Base() { // an override may add fields of its own
		findings = slices.DeleteFunc(findings, func(f Failure) bool { return f.Code == CodeAdditional })
	}
	if len(findings) == 0 {
		return nil, nil
	}
	var warnings []string
	for _, f := range findings {
		warnings = append(warnings, f.Message)
		r.gateway.log.LogAttrs(ctx, slog.LevelWarn, "response breaks the unified schema",
			slog.String("request_id", r.caller.RequestID), slog.String("mapping", r.plan.Version()),
			slog.String("pointer", f.Pointer), slog.String("code", string(f.Code)))
	}
	if r.gateway.policy == PolicyFail {
		return warnings, &Problem{
			Status: statusBadGateway, Failures: findings,
			Message: "the mapped answer breaks the unified response schema: " + strings.Join(warnings, "; "),
		}
	}
	return warnings, nil
}

// Verify makes the call that checks an account's credentials. The account need not be stored. Its
// integration must declare such a call.
func (g *Gateway) Verify(ctx context.Context, requestID string, account accounts.Account) (*Outcome, *Problem) {
	endpoint := g.Snapshot().catalog.Integration(account.Integration).Verify
	own := &credentials{gateway: g, requestID: requestID, account: account}
	report := &Report{
		Integration: account.Integration, Operation: "verify", Mapping: endpoint.Version(),
		Environment: account.Environment, AccountID: account.ID,
	}
	checked := engine.Context(account.Context)
	if account.Status == accounts.StatusActive {
		if p := own.fresh(ctx); p != nil {
			p.Report = report
			return nil, p
		}
		if own.account.Grant != account.Grant { // in addition to the checked credentials
			checked = engine.Context(maps.Clone(account.Context))
			checked[accounts.AccessTokenField] = own.account.Context[accounts.AccessTokenField]
		}
	}
	req := &engine.Request{Context: checked, BaseURL: g.baseURLs[account.Integration]}
	if account.Version > 0 { // it is stored and has an id
		req.Environment, req.Account = account.Environment, account.ID
	}
	admission := &admission{settings: &g.settings}
	defer admission.leave()
	req.Admit = admission.admit
	result, err := g.engine.Call(ctx, endpoint, req)
	report.Result, report.ended = result, g.engine.Now()
	tried := account
	tried.Context = accounts.Context(checked)
	report.secrets = sync.OnceValue(func() *masker {
		return newMasker(tried, endpoint.Integration.Credentials, own.seen, result.Steps)
	})
	if err != nil {
		return nil, problemOf(err, report)
	}
	return rawOutcome(report), nil
}
