// Package contract is what every judge reads and writes: one JSON case a line in, one JSON answer a line out, so that one
// process judges many cases. README.md beside this folder documents it.
package contract

import (
	"bufio"
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"os"
)

// Case is a set of policies and the world that they are judged in. Every ordered pair of ends (the pods, then the
// externals) is judged at every port.
type Case struct {
	Objects []Object `json:"objects"`
	World   World    `json:"world"`
	Ports   []Port   `json:"ports"`
	// Thorough asks a judge that has several evaluators to compare them; where they differ is an error.
	Thorough bool `json:"thorough"`
}

// World is everything that policies speak of. Namespaces map a name to its labels.
type World struct {
	Namespaces map[string]map[string]string `json:"namespaces"`
	Pods       []Pod                        `json:"pods"`
	Externals  []External                   `json:"externals"`
}

// Pod is an end that policies may select, unless it is on the host network: then it is its node.
type Pod struct {
	Namespace      string            `json:"namespace"`
	Name           string            `json:"name"`
	Labels         map[string]string `json:"labels"`
	ServiceAccount string            `json:"serviceAccount"`
	IPs            []string          `json:"ips"`
	Ports          []Port            `json:"ports"`
	HostNetwork    bool              `json:"hostNetwork"`
}

// External is an end that is no pod. Names are the host names that pods look it up under. Entities are what else the
// cluster knows it as, in Cilium's words (`host`, `remote-node`, `kube-apiserver`).
type External struct {
	IPs      []string `json:"ips"`
	Names    []string `json:"names"`
	Entities []string `json:"entities"`
}

// Port is a number and protocol; a name only where a pod declares it.
type Port struct {
	Name     string `json:"name"`
	Port     int    `json:"port"`
	Protocol string `json:"protocol"`
}

// Object is a Kubernetes object, of a kind that is read later.
type Object struct {
	APIVersion string
	Kind       string
	Raw        []byte
}

// UnmarshalJSON keeps the text and looks at the kind.
func (o *Object) UnmarshalJSON(text []byte) error {
	var head struct {
		APIVersion string `json:"apiVersion"`
		Kind       string `json:"kind"`
	}
	if err := json.Unmarshal(text, &head); err != nil {
		return err
	}
	*o = Object{head.APIVersion, head.Kind, bytes.Clone(text)}
	return nil
}

// Into reads the object strictly: a field that its type does not have is an error.
func (o *Object) Into(value any) error {
	return strict(o.Raw, value)
}

// Answer holds one '1' (allowed) or '0' for each (source, destination, port), the port varying fastest.
type Answer struct {
	Allowed string `json:"allowed"`
	Error   string `json:"error,omitempty"`
}

// Serve answers cases from stdin until it ends. A panic of an engine on a malformed policy becomes the answer's error.
func Serve(judge func(*Case) (string, error)) {
	lines := bufio.NewReader(os.Stdin)
	out := json.NewEncoder(os.Stdout)
	for {
		line, err := lines.ReadBytes('\n')
		if len(bytes.TrimSpace(line)) > 0 {
			if err := out.Encode(answer(judge, line)); err != nil {
				fail(err)
			}
		}
		if err == io.EOF {
			return
		}
		if err != nil {
			fail(err)
		}
	}
}

func answer(judge func(*Case) (string, error), line []byte) (found Answer) {
	defer func() {
		if trouble := recover(); trouble != nil {
			found = Answer{Error: fmt.Sprint(trouble)}
		}
	}()
	var asked Case
	if err := strict(line, &asked); err != nil {
		return Answer{Error: err.Error()}
	}
	allowed, err := judge(&asked)
	if err != nil {
		return Answer{Error: err.Error()}
	}
	return Answer{Allowed: allowed}
}

func strict(text []byte, value any) error {
	decoder := json.NewDecoder(bytes.NewReader(text))
	decoder.DisallowUnknownFields()
	return decoder.Decode(value)
}

func fail(err error) {
	fmt.Fprintln(os.Stderr, err)
	os.Exit(1)
}
