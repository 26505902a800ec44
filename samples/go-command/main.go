// Says $GREETING, prints the file its first argument names, and exits with the code its second one says.
package main

import (
	"fmt"
	"os"
	"strconv"
)

func main() {
	fmt.Println("Go says", os.Getenv("GREETING"))
	if len(os.Args) < 2 {
		return
	}
	content, err := os.ReadFile(os.Args[1])
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	os.Stdout.Write(content)
	if len(os.Args) > 2 {
		code, err := strconv.Atoi(os.Args[2])
		if err != nil {
			code = 2
		}
		os.Exit(code)
	}
}
