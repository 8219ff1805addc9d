package main

import "fmt"

func userTarget(account any) string {
	return fmt.Sprintf("/unified/ticketing/users/u1?integrated_account_id=%v", account)
}

var ada = map[string]any{"first_name": "Ada"}
