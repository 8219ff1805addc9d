package server

import (
	"fmt"
	"net/http"

	"portolan/accounts"
	"portolan/engine"
	"portolan/source"
)

// maxOverrides is how many plans with overrides are kept compiled.
const maxOverrides = 1000

// override lays the overrides of the account's environment and then its own over the plan.
// One that no longer compiles, as the mapping has changed since it was saved, ends the request.
func (x *exchange) override() *problem {
	if len(x.account.Inherited) == 0 && len(x.account.Overrides) == 0 {
		return nil
	}
	op := x.plan.Operation().String()
	plan, found := x.server.overrides.Plan(x.plan,
		overrideLayer(environmentLayer, x.account.Inherited[x.plan.Integration()+"/"+op]),
		overrideLayer(accountLayer, x.account.Overrides[op]))
	for _, d := range found {
		if d.Severity == source.SeverityError {
			return &problem{
				status: http.StatusInternalServerError, message: fmt.Sprintf("an override no longer fits the mapping: %s: %s", d.Code, d.Message),
				mapping: &mappingPlace{File: d.Pos.File, Line: d.Pos.Line, Col: d.Pos.Col, At: op},
			}
		}
	}
	x.plan = plan
	return nil
}

func overrideLayer(name string, o accounts.Override) engine.OverrideLayer {
	return engine.OverrideLayer{Name: name, Override: engine.Override{
		RequestBodyMapping: o.RequestBodyMapping, QueryMapping: o.QueryMapping, ResponseMapping: o.ResponseMapping, Replace: o.Replace,
	}}
}
