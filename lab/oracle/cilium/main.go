// Command cilium-judge says which traffic policies allow, in the opinion of Cilium's own policy engine.
//
// The engine is a library here: nothing of it touches a kernel. What the rest of Cilium does for it is played: identities
// of pods and addresses (world.go), the names of ports, and the DNS proxy (names.go). A redirect to the HTTP proxy counts
// as open: whether a request passes is the proxy's to say.
package main

import (
	"io"
	"log/slog"
	"math"
	"strings"

	"github.com/cilium/cilium/pkg/crypto/certificatemanager"
	envoypolicy "github.com/cilium/cilium/pkg/envoy/policy"
	"github.com/cilium/cilium/pkg/identity/identitymanager"
	"github.com/cilium/cilium/pkg/labelsfilter"
	"github.com/cilium/cilium/pkg/option"
	"github.com/cilium/cilium/pkg/policy"
	policytypes "github.com/cilium/cilium/pkg/policy/types"
	testidentity "github.com/cilium/cilium/pkg/testutils/identity"
	testpolicy "github.com/cilium/cilium/pkg/testutils/policy"
	"github.com/cilium/cilium/pkg/u8proto"
	"pipesegment.dev/lab/oracle/contract"
)

var logger = slog.New(slog.NewTextHandler(io.Discard, nil))

// engine is Cilium's policy repository, with the policies and identities of one case in it.
type engine struct {
	repository *policy.Repository
	identities identitymanager.IDManager
	entries    policytypes.PolicyEntries
	names      map[string]bool
}

func main() {
	option.Config.ClusterName = "default"
	option.Config.EnableIPv4 = true
	option.Config.EnableIPv6 = true
	option.Config.EnableL7Proxy = true
	if err := labelsfilter.ParseLabelPrefixCfg(logger, nil, nil, ""); err != nil {
		panic(err)
	}
	contract.Serve(judge)
}

func judge(asked *contract.Case) (string, error) {
	entries, rules, err := read(asked.Objects)
	if err != nil {
		return "", err
	}
	dns, err := newResolver(rules)
	if err != nil {
		return "", err
	}
	known := newIdentities()
	all, err := known.endpoints(&asked.World, dns)
	if err != nil {
		return "", err
	}
	engine := start(entries, known)
	for _, end := range all {
		if err := engine.settle(end); err != nil {
			return "", err
		}
	}
	var bits strings.Builder
	for _, from := range all {
		for _, to := range all {
			for _, port := range asked.Ports {
				bit, err := engine.verdict(from, to, port, asked.Thorough)
				if err != nil {
					return "", err
				}
				bits.WriteByte(bit)
			}
		}
	}
	return bits.String(), nil
}

func start(entries policytypes.PolicyEntries, known *identities) *engine {
	manager := identitymanager.NewIDManager(logger)
	translator := envoypolicy.NewEnvoyL7RulesTranslator(logger, certificatemanager.NewMockSecretManagerInline())
	repository := policy.NewPolicyRepository(
		logger, known.labels, nil, translator, manager, testpolicy.NewPolicyMetricsNoop())
	repository.SetNamedPortsGetter(known)
	repository.GetSelectorCache().SetLocalIdentityNotifier(testidentity.NewDummyIdentityNotifier())
	manager.Subscribe(testpolicy.SelectorCacheObserver{Cache: repository.GetSubjectSelectorCache()})
	repository.MustAddPolicyEntries(entries)
	return &engine{repository, manager, entries, namesOf(entries)}
}

// settle computes a pod's policy, the way LookupFlow does it anew for every flow.
func (e *engine) settle(end *endpoint) error {
	if !end.pod {
		return nil
	}
	e.identities.Add(end.identities[0])
	selected, _, err := e.repository.ComputeSelectorPolicy(end.identities[0])
	if err != nil {
		return err
	}
	end.policy = selected.DistillPolicy(logger, end, map[string]uint16{policy.FallbackRedirectID: math.MaxUint16})
	end.policy.Ready()
	end.policy.Detach(logger)
	selected.Supersede()
	return nil
}

// verdict tries every way between two ends: an external has an identity for each of its addresses.
func (e *engine) verdict(from, to *endpoint, port contract.Port, thorough bool) (byte, error) {
	proto, err := u8proto.ParseProtocol(port.Protocol)
	if err != nil {
		return 0, err
	}
	bit := byte('0')
	for _, pair := range routes(from, to) {
		flow := policytypes.Flow{From: pair[0], To: pair[1], Proto: proto, Dport: uint16(port.Port)}
		open := lookUp(from, to, flow)
		if open {
			bit = '1'
		}
		if thorough {
			if err := e.compare(from, to, flow, open); err != nil {
				return 0, err
			}
		}
	}
	return bit, nil
}

func lookUp(from, to *endpoint, flow policytypes.Flow) bool {
	if from.pod {
		key := policy.EgressKey().WithIdentity(flow.To.ID).WithPortProto(flow.Proto, flow.Dport)
		if entry, _, _ := from.policy.Lookup(key); entry.IsDeny() {
			return false
		}
	}
	if to.pod {
		key := policy.IngressKey().WithIdentity(flow.From.ID).WithPortProto(flow.Proto, flow.Dport)
		if entry, _, _ := to.policy.Lookup(key); entry.IsDeny() {
			return false
		}
	}
	return true
}
