package gateway_test

import (
	"context"
	"crypto/rand"
	"fmt"
	"testing/fstest"

	"portolan/accounts"
	"portolan/engine"
	"portolan/gateway"
	"portolan/jsonata"
	"portolan/schemas"
)

// exampleGateway is a gateway of one integration, whose provider knows Ada, and one account.
func exampleGateway() (*gateway.Gateway, error) {
	unified, err := schemas.Unified()
	if err != nil {
		return nil, err
	}
	docs, found := engine.Load(jsonata.NewLanguage(clock, rand.Reader, jsonata.Limits{}), engine.Layer{FS: fstest.MapFS{
		"acme/integration.yaml": {Data: []byte(acmeYAML)}, "acme/ticketing.yaml": {Data: []byte(acmeTicketing)},
	}})
	catalog, more := engine.Compile(docs, gateway.Models(unified), nil)
	snapshot, bad, err := gateway.NewSnapshot(catalog, unified)
	if err != nil || len(found)+len(more)+len(bad) > 0 {
		return nil, fmt.Errorf("%w %v %v %v", err, found, more, bad)
	}
	store, err := accounts.NewMemory(nil, []accounts.Account{{
		ID: acmeID, Integration: "acme", Environment: "default", Context: accounts.Context{"key": "secret-of-acme"},
	}})
	if err != nil {
		return nil, err
	}
	return gateway.New(snapshot, engine.New(ada(), clock), store), nil
}

// A unified call: the account and its mapping first, then what the caller sends.
func ExampleGateway_Open() {
	gw, err := exampleGateway()
	if err != nil {
		fmt.Println(err)
		return
	}
	ctx := context.Background()
	ready, problem := gw.Open(ctx, gateway.Caller{Environment: "default"}, gateway.Target{
		Operation: engine.Operation{Model: "ticketing", Resource: "users", Method: "update"}, AccountID: acmeID, ID: "u1",
	})
	if problem != nil {
		fmt.Println(problem.Status, problem)
		return
	}
	outcome, problem := ready.Do(ctx, &gateway.Input{
		Body:    map[string]any{"first_name": "Ada"},
		Options: gateway.Options{IgnoreRemoteData: true},
	})
	if problem != nil {
		fmt.Println(problem.Status, problem)
		return
	}
	fmt.Printf("%d %s\n", outcome.Status, outcome.Body)
	// Output: 200 {"id":"u1","first_name":"Ada","created_at":"2026-01-02T03:04:05+01:00"}
}

// What is wrong with a call is reported at once, before the provider is called.
func ExampleReady_Do() {
	gw, err := exampleGateway()
	if err != nil {
		fmt.Println(err)
		return
	}
	ctx := context.Background()
	ready, problem := gw.Open(ctx, gateway.Caller{Environment: "default"}, gateway.Target{
		Operation: engine.Operation{Model: "ticketing", Resource: "users", Method: "update"}, AccountID: acmeID, ID: "u1",
	})
	if problem != nil {
		fmt.Println(problem.Status, problem)
		return
	}
	_, problem = ready.Do(ctx, &gateway.Input{
		Body:    map[string]any{"first_name": "A", "last_name": "Quill"},
		Options: gateway.Options{Strict: true},
	})
	fmt.Println(problem.Status)
	for _, failure := range problem.Failures {
		fmt.Println(failure.Code, failure.Message)
	}
	// Output:
	// 400
	// length first_name must have at least 2 characters
	// unsupported last_name is not supported by this integration
}
