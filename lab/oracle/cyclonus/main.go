// Command cyclonus-judge says which traffic NetworkPolicies allow, in the opinion of github.com/mattfenwick/cyclonus.
//
// The API server's defaulting of policyTypes happens here, because the matcher panics without it. A pod on the host
// network is its node's address: the matcher has no notion of it.
package main

import (
	"fmt"
	"net/netip"
	"strings"

	"github.com/mattfenwick/cyclonus/pkg/matcher"
	corev1 "k8s.io/api/core/v1"
	networkingv1 "k8s.io/api/networking/v1"
	"pipesegment.dev/lab/oracle/contract"
)

type endpoint struct {
	peer  *matcher.InternalPeer
	ips   []netip.Addr
	ports []contract.Port
}

func main() {
	contract.Serve(judge)
}

func judge(asked *contract.Case) (string, error) {
	var found []*networkingv1.NetworkPolicy
	for _, object := range asked.Objects {
		if object.Kind != "NetworkPolicy" {
			return "", fmt.Errorf("cyclonus knows no %s", object.Kind)
		}
		policy := &networkingv1.NetworkPolicy{}
		if err := object.Into(policy); err != nil {
			return "", err
		}
		defaultTypes(&policy.Spec)
		found = append(found, policy)
	}
	policies := matcher.BuildNetworkPolicies(false, found)
	all := endpoints(&asked.World)
	var bits strings.Builder
	for _, from := range all {
		for _, to := range all {
			for _, port := range asked.Ports {
				bit := byte('0')
				if allowed(policies, from, to, port) {
					bit = '1'
				}
				bits.WriteByte(bit)
			}
		}
	}
	return bits.String(), nil
}

func endpoints(world *contract.World) (all []endpoint) {
	for _, pod := range world.Pods {
		if pod.HostNetwork {
			all = append(all, endpoint{ips: parse(pod.IPs)})
			continue
		}
		peer := &matcher.InternalPeer{
			Namespace: pod.Namespace, NamespaceLabels: world.Namespaces[pod.Namespace], PodLabels: pod.Labels,
		}
		all = append(all, endpoint{peer, parse(pod.IPs), pod.Ports})
	}
	for _, external := range world.Externals {
		all = append(all, endpoint{ips: parse(external.IPs)})
	}
	return all
}

// allowed tries every way between two endpoints: each address family that they share (or, sharing none, each pair of
// addresses), and for each direction every name that the destination gives the port.
func allowed(policies *matcher.Policy, from, to endpoint, port contract.Port) bool {
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
				Protocol:         corev1.Protocol(port.Protocol),
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
