// Command calico-felix is Calico's Felix as a plain program: what a node of the network lab runs to enforce policies.
package main

import (
	"os"

	"github.com/projectcalico/calico/felix/daemon"
)

// The only argument is the path of Felix's configuration file. The commit is the one that go.mod names.
func main() {
	daemon.Run(os.Args[1], "lab", "a0db560f0520", "")
}
