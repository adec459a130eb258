package main

import (
	"fmt"
	"strconv"

	"github.com/cilium/cilium/pkg/policy"
	"github.com/cilium/cilium/pkg/policy/testutils"
	policytypes "github.com/cilium/cilium/pkg/policy/types"
	"github.com/cilium/cilium/pkg/u8proto"
)

// compare asks Cilium's two evaluators as they stand: LookupFlow, which computes both policies anew, and IteratePolicy,
// which walks the rules.
//
// They are asked about flows between pods: neither knows that externals and nodes have no policy of their own here. Both
// know the names of TCP and UDP ports alone, so that SCTP is left out where rules use names.
func (e *engine) compare(from, to *endpoint, flow policytypes.Flow, open bool) error {
	if !from.pod || !to.pod || (flow.Proto == u8proto.SCTP && len(e.names) > 0) {
		return nil
	}
	flow.NamedPortsTCP, flow.NamedPortsUDP = map[string]uint16{}, map[string]uint16{}
	for name := range e.names {
		// IteratePolicy panics on a name that it is not told: to be told another port is the same answer.
		flow.NamedPortsTCP[name] = elsewhere(flow.Dport)
		flow.NamedPortsUDP[name] = elsewhere(flow.Dport)
		if port, err := to.ports.GetNamedPort(name, u8proto.TCP); err == nil {
			flow.NamedPortsTCP[name] = port
		}
		if port, err := to.ports.GetNamedPort(name, u8proto.UDP); err == nil {
			flow.NamedPortsUDP[name] = port
		}
	}
	looked, _, _, err := policy.LookupFlow(logger, e.repository, e.identities, flow)
	if err != nil {
		return err
	}
	walked, _, _ := testutils.IteratePolicy(e.entries, flow)
	if looked.Allowed() != open || walked.Allowed() != open {
		return fmt.Errorf("the judge says %t, LookupFlow %t, IteratePolicy %t: %s to %s at %s/%d",
			open, looked.Allowed(), walked.Allowed(), flow.From.Labels, flow.To.Labels, flow.Proto, flow.Dport)
	}
	return nil
}

func elsewhere(port uint16) uint16 {
	if port == 1 {
		return 2
	}
	return 1
}

// namesOf gives every name of a port that rules use.
func namesOf(entries policytypes.PolicyEntries) map[string]bool {
	found := map[string]bool{}
	for _, entry := range entries {
		for _, rule := range entry.L4 {
			for _, port := range rule.Ports {
				if _, err := strconv.Atoi(port.Port); err != nil {
					found[port.Port] = true
				}
			}
		}
	}
	return found
}
