package gateway

import (
	"encoding/json"
	"testing"
)

func TestFailureJSON(t *testing.T) {
	tests := []struct {
		name    string
		failure Failure
		want    string
	}{
		{
			"least", Failuref("", CodeEmpty, "the body is empty"),
			`{"pointer":"","code":"empty","message":"the body is empty"}`,
		},
		{
			"whole",
			Failure{Pointer: "/roles/0/id", Code: CodeEnum, Message: "m", Allowed: []any{"owner", 7}, ProviderField: "role"},
			`{"pointer":"/roles/0/id","code":"enum","message":"m","allowed":["owner",7],"provider_field":"role"}`,
		},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			got, err := json.Marshal(tt.failure)
			if err != nil {
				t.Fatal(err)
			}
			if string(got) != tt.want {
				t.Errorf("got %s, want %s", got, tt.want)
			}
		})
	}
}
