// Command cyclonus-judge says which traffic NetworkPolicies allow, in the opinion of github.com/mattfenwick/cyclonus.
//
// It reads one JSON case a line from stdin and writes one JSON answer a line to stdout, so that one process judges
// many cases. The API server's defaulting of policyTypes happens here, because the matcher panics without it; everything
// else (which pods there are, what a host-network pod counts as) is the caller's to say.
package main

import (
	"bufio"
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net/netip"
	"os"

	"github.com/mattfenwick/cyclonus/pkg/matcher"
	corev1 "k8s.io/api/core/v1"
	networkingv1 "k8s.io/api/networking/v1"
)

// Case is a set of policies and the world that they are judged in. Every ordered pair of endpoints (the pods, then the
// external ones, each by its addresses) is judged at every port.
type Case struct {
	Policies   []*networkingv1.NetworkPolicy `json:"policies"`
	Namespaces map[string]map[string]string  `json:"namespaces"`
	Pods       []Pod                         `json:"pods"`
	External   [][]string                    `json:"external"`
	Ports      []Port                        `json:"ports"`
}

// Pod is an endpoint that policies may select.
type Pod struct {
	Namespace string            `json:"namespace"`
	Labels    map[string]string `json:"labels"`
	IPs       []string          `json:"ips"`
	Ports     []Port            `json:"ports"`
}

// Port is a number and protocol; a name only where a pod declares it.
type Port struct {
	Name     string          `json:"name,omitempty"`
	Port     int             `json:"port"`
	Protocol corev1.Protocol `json:"protocol"`
}

// Answer holds one '1' (allowed) or '0' for each (source, destination, port), the port varying fastest.
type Answer struct {
	Allowed string `json:"allowed"`
	Error   string `json:"error,omitempty"`
}

type endpoint struct {
	peer  *matcher.InternalPeer
	ips   []netip.Addr
	ports []Port
}

func main() {
	lines := bufio.NewReader(os.Stdin)
	out := json.NewEncoder(os.Stdout)
	for {
		line, err := lines.ReadBytes('\n')
		if len(bytes.TrimSpace(line)) > 0 {
			if err := out.Encode(judge(line)); err != nil {
				fmt.Fprintln(os.Stderr, err)
				os.Exit(1)
			}
		}
		if err == io.EOF {
			return
		}
		if err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
	}
}

// judge answers one case; the matcher's panics on malformed policies become the answer's error.
func judge(line []byte) (answer Answer) {
	defer func() {
		if trouble := recover(); trouble != nil {
			answer = Answer{Error: fmt.Sprint(trouble)}
		}
	}()
	decoder := json.NewDecoder(bytes.NewReader(line))
	decoder.DisallowUnknownFields()
	var c Case
	if err := decoder.Decode(&c); err != nil {
		return Answer{Error: err.Error()}
	}
	for _, policy := range c.Policies {
		defaultTypes(&policy.Spec)
	}
	policies := matcher.BuildNetworkPolicies(false, c.Policies)
	var all []endpoint
	for _, pod := range c.Pods {
		peer := &matcher.InternalPeer{
			Namespace: pod.Namespace, NamespaceLabels: c.Namespaces[pod.Namespace], PodLabels: pod.Labels,
		}
		all = append(all, endpoint{peer, parse(pod.IPs), pod.Ports})
	}
	for _, ips := range c.External {
		all = append(all, endpoint{ips: parse(ips)})
	}
	var bits bytes.Buffer
	for _, from := range all {
		for _, to := range all {
			for _, port := range c.Ports {
				bit := byte('0')
				if allowed(policies, from, to, port) {
					bit = '1'
				}
				bits.WriteByte(bit)
			}
		}
	}
	return Answer{Allowed: bits.String()}
}

// allowed tries every way between two endpoints: each address family that they share (or, sharing none, each pair of
// addresses), and for each direction every name that the destination gives the port.
func allowed(policies *matcher.Policy, from, to endpoint, port Port) bool {
	names := []string{""}
	for _, p := range to.ports {
		if p.Port == port.Port && p.Protocol == port.Protocol && p.Name != "" {
			names = append(names, p.Name)
		}
	}
	for _, pair := range routes(from.ips, to.ips) {
		ingress, egress := false, false
		for _, name := range names {
			result := policies.IsTrafficAllowed(&matcher.Traffic{
				Source:           &matcher.TrafficPeer{Internal: from.peer, IP: pair[0].String()},
				Destination:      &matcher.TrafficPeer{Internal: to.peer, IP: pair[1].String()},
				ResolvedPort:     port.Port,
				ResolvedPortName: name,
				Protocol:         port.Protocol,
			})
			ingress = ingress || result.Ingress.IsAllowed()
			egress = egress || result.Egress.IsAllowed()
		}
		if ingress && egress {
			return true
		}
	}
	return false
}

func routes(from, to []netip.Addr) (same [][2]netip.Addr) {
	var cross [][2]netip.Addr
	for _, a := range from {
		for _, b := range to {
			if a.Is4() == b.Is4() {
				same = append(same, [2]netip.Addr{a, b})
			}
			cross = append(cross, [2]netip.Addr{a, b})
		}
	}
	if same == nil {
		return cross
	}
	return same
}

func parse(texts []string) (ips []netip.Addr) {
	for _, text := range texts {
		ips = append(ips, netip.MustParseAddr(text))
	}
	return ips
}

// defaultTypes fills policyTypes as the API server does for a policy that names none.
func defaultTypes(spec *networkingv1.NetworkPolicySpec) {
	if len(spec.PolicyTypes) > 0 {
		return
	}
	spec.PolicyTypes = []networkingv1.PolicyType{networkingv1.PolicyTypeIngress}
	if len(spec.Egress) > 0 {
		spec.PolicyTypes = append(spec.PolicyTypes, networkingv1.PolicyTypeEgress)
	}
}
