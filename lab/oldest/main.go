// Command oldest-definitions says what the API server of the oldest supported Kubernetes finds wrong with CustomResourceDefinitions.
//
// Standard input is one CustomResourceDefinition a line, standard output a JSON list of what is wrong with it, a line each.
// Later versions estimate what a rule costs differently, and mostly lower.
package main

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"os"

	"k8s.io/apiextensions-apiserver/pkg/apis/apiextensions"
	"k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/install"
	"k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/validation"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/serializer"
)

const longest = 16 << 20

func main() {
	scheme := runtime.NewScheme()
	install.Install(scheme)
	decoder := serializer.NewCodecFactory(scheme).UniversalDecoder(apiextensions.SchemeGroupVersion)
	lines := bufio.NewScanner(os.Stdin)
	lines.Buffer(nil, longest)
	answers := json.NewEncoder(os.Stdout)
	for lines.Scan() {
		if err := answers.Encode(wrong(decoder, lines.Bytes())); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
	}
	if err := lines.Err(); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func wrong(decoder runtime.Decoder, line []byte) []string {
	found := []string{}
	object, _, err := decoder.Decode(line, nil, nil)
	if err != nil {
		return append(found, err.Error())
	}
	definition, ok := object.(*apiextensions.CustomResourceDefinition)
	if !ok {
		return append(found, fmt.Sprintf("%T is no CustomResourceDefinition", object))
	}
	// What the API server's own strategy does before it validates.
	for _, version := range definition.Spec.Versions {
		if version.Storage {
			definition.Status.StoredVersions = []string{version.Name}
		}
	}
	for _, problem := range validation.ValidateCustomResourceDefinition(context.Background(), definition) {
		found = append(found, problem.Error())
	}
	return found
}
