package main

import (
	"github.com/cilium/cilium/pkg/endpoint/regeneration"
	"github.com/cilium/cilium/pkg/identity"
	"github.com/cilium/cilium/pkg/policy"
	"github.com/cilium/cilium/pkg/types"
	"github.com/cilium/cilium/pkg/u8proto"
)

// endpoint is one end of the case. A pod has one identity, an external one for each address; `families` has the address
// families of each. It owns its policy, as Cilium's agent does for an endpoint of a node.
type endpoint struct {
	number     uint64
	pod        bool
	identities []*identity.Identity
	families   []int
	ports      types.NamedPortMap
	policy     *policy.EndpointPolicy
}

// routes pairs the identities that have an address family in common; all of them where none have.
func routes(from, to *endpoint) [][2]*identity.Identity {
	var same, cross [][2]*identity.Identity
	for i, source := range from.identities {
		for j, destination := range to.identities {
			pair := [2]*identity.Identity{source, destination}
			cross = append(cross, pair)
			if from.families[i]&to.families[j] != 0 {
				same = append(same, pair)
			}
		}
	}
	if same == nil {
		return cross
	}
	return same
}

func (e *endpoint) GetID() uint64 { return e.number }

func (e *endpoint) GetIngressNamedPort(name string, proto u8proto.U8proto) uint16 {
	port, err := e.ports.GetNamedPort(name, proto)
	if err != nil {
		return 0
	}
	return port
}

func (e *endpoint) PolicyDebug(string, ...any) {}

func (e *endpoint) IsHost() bool { return false }

func (e *endpoint) PreviousMapStateSizes() policy.MapStateSizes { return policy.MapStateSizes{} }

func (e *endpoint) RegenerateIfAlive(*regeneration.ExternalRegenerationMetadata) <-chan bool {
	done := make(chan bool)
	close(done)
	return done
}
