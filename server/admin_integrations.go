package server

import (
	"context"
	"sort"
	"strconv"

	"portolan/accounts"
	"portolan/engine"
	"portolan/gateway"
)

// ping shows a client that its URL and token are right.
func ping(context.Context, *adminCall) (any, *gateway.Problem) {
	return map[string]any{"status": "ok"}, nil
}

// listIntegrations lists the integrations by name. A cursor is the last name of the page before.
func listIntegrations(_ context.Context, a *adminCall) (any, *gateway.Problem) {
	all := a.server.gateway.Snapshot().Catalog().Integrations()
	start := 0
	if a.query.Cursor != "" {
		start = sort.Search(len(all), func(i int) bool { return all[i].Name > a.query.Cursor })
	}
	end := min(start+a.limit(), len(all))
	page := accounts.Page[*engine.Integration]{Items: all[start:end]}
	if end < len(all) {
		page.Next = all[end-1].Name
	}
	return listOf(a, page, integrationAnswer), nil
}

func integrationAnswer(in *engine.Integration) map[string]any {
	return map[string]any{"id": in.Name, "name": in.Name, "label": in.Label}
}

// getIntegration answers with an integration and the credentials of its accounts.
func getIntegration(_ context.Context, a *adminCall) (any, *gateway.Problem) {
	in := a.server.integration(a.id)
	if in == nil {
		return nil, a.storeProblem(accounts.ErrNotFound, "integration "+strconv.Quote(a.id), "")
	}
	credentials := []any{}
	for _, c := range in.Credentials {
		if !c.Granted {
			credentials = append(credentials, map[string]any{
				"name": c.Name, "label": c.Label, "help": c.Help, "help_url": c.HelpURL, "secret": c.Secret, "required": c.Required, "enum": append([]string{}, c.Enum...), "default": c.Default,
			})
		}
	}
	out := integrationAnswer(in)
	out["credentials"] = credentials
	return out, nil
}
