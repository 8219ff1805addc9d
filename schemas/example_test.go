package schemas_test

import (
	"fmt"

	"portolan/schemas"
)

func ExampleUnified() {
	models, err := schemas.Unified()
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println(models["ticketing.users.update"].Order[:4])
	// Output: [id name first_name last_name]
}

func ExampleSchema_Validate() {
	models, err := schemas.Unified()
	if err != nil {
		fmt.Println(err)
		return
	}
	request, err := schemas.Compile("ticketing.users.update", models["ticketing.users.update"].Request)
	if err != nil {
		fmt.Println(err)
		return
	}
	body := map[string]any{
		"firstName": "Ada",
		"emails":    []any{map[string]any{"type": "work"}},
	}
	for _, v := range request.Validate(body) {
		fmt.Printf("%s %s: %s\n", v.Pointer, v.Code, v.Message)
	}
	// Output:
	// /emails/0/email required: emails/0/email is required
	// /firstName additional: firstName is not a known field (did you mean "first_name"?)
}

func ExampleCompile() {
	_, err := schemas.Compile("roles", map[string]any{"properties": map[string]any{
		"roles": map[string]any{"$ref": "https://example.com/roles.json"},
	}})
	fmt.Println(err)
	// Output: roles: /properties/roles/$ref: must point into the schema itself (#…), nothing else is loaded
}
