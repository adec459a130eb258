package main

import (
	"net/netip"

	"github.com/cilium/cilium/pkg/identity"
	"github.com/cilium/cilium/pkg/k8s"
	corev1 "github.com/cilium/cilium/pkg/k8s/slim/k8s/api/core/v1"
	metav1 "github.com/cilium/cilium/pkg/k8s/slim/k8s/apis/meta/v1"
	"github.com/cilium/cilium/pkg/labels"
	"github.com/cilium/cilium/pkg/labelsfilter"
	"github.com/cilium/cilium/pkg/types"
	"pipesegment.dev/lab/oracle/contract"
)

// Bits for the address families that an identity has.
const (
	four = 1 << iota
	six
)

// identities are those of one case: equal labels make one identity, as in a cluster.
type identities struct {
	labels identity.IdentityMap
	byKey  map[string]*identity.Identity
	next   map[identity.NumericIdentity]identity.NumericIdentity
	ports  types.NamedPortMultiMap
	learn  func(identity.NumericIdentity, types.NamedPortMap)
}

func newIdentities() *identities {
	ports := types.NewNamedPortMultiMap()
	known := &identities{
		labels: identity.IdentityMap{},
		byKey:  map[string]*identity.Identity{},
		next:   map[identity.NumericIdentity]identity.NumericIdentity{},
		ports:  ports,
		learn:  func(id identity.NumericIdentity, found types.NamedPortMap) { ports.Update(id, nil, found) },
	}
	// The local host is always there: the engine lets it reach its own pods.
	known.of(labels.LabelHost)
	return known
}

// endpoints gives the ends of a case in their order.
func (k *identities) endpoints(world *contract.World, dns *resolver) (all []*endpoint, err error) {
	for number, pod := range world.Pods {
		end, err := k.podEnd(pod, world.Namespaces[pod.Namespace])
		if err != nil {
			return nil, err
		}
		end.number = uint64(number + 1)
		all = append(all, end)
	}
	for _, external := range world.Externals {
		end, err := k.externalEnd(external, dns)
		if err != nil {
			return nil, err
		}
		all = append(all, end)
	}
	return all, nil
}

// podEnd gives a pod the labels that Cilium derives for it, less those that it leaves out of identities; one on the host network is another node.
func (k *identities) podEnd(pod contract.Pod, namespaceLabels map[string]string) (*endpoint, error) {
	families := 0
	for _, text := range pod.IPs {
		address, err := netip.ParseAddr(text)
		if err != nil {
			return nil, err
		}
		families |= family(address)
	}
	if pod.HostNetwork {
		return &endpoint{identities: []*identity.Identity{k.of(labels.LabelRemoteNode)}, families: []int{families}}, nil
	}
	namespace := &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: pod.Namespace, Labels: namespaceLabels}}
	ports, derived := k8s.GetPodMetadata(logger, namespace, slim(pod))
	found, _ := labelsfilter.Filter(labels.Map2Labels(derived, labels.LabelSourceK8s))
	for _, label := range k8s.NamedPortsIdentityLabels(ports) {
		found[label.Key] = label
	}
	own := k.of(found)
	k.learn(own.ID, ports)
	return &endpoint{pod: true, identities: []*identity.Identity{own}, families: []int{families}, ports: ports}, nil
}

func slim(pod contract.Pod) *corev1.Pod {
	var ports []corev1.ContainerPort
	for _, port := range pod.Ports {
		ports = append(ports, corev1.ContainerPort{
			Name: port.Name, ContainerPort: int32(port.Port), Protocol: corev1.Protocol(port.Protocol),
		})
	}
	return &corev1.Pod{
		ObjectMeta: metav1.ObjectMeta{Namespace: pod.Namespace, Name: pod.Name, Labels: pod.Labels},
		Spec: corev1.PodSpec{
			ServiceAccountName: pod.ServiceAccount, Containers: []corev1.Container{{Ports: ports}},
		},
	}
}

// externalEnd gives every address an identity of its own, with the entities and the names that it is known under.
func (k *identities) externalEnd(external contract.External, dns *resolver) (*endpoint, error) {
	end := &endpoint{}
	for _, text := range external.IPs {
		address, err := netip.ParseAddr(text)
		if err != nil {
			return nil, err
		}
		found := labels.Labels{}
		node := false
		for _, entity := range external.Entities {
			found[entity] = labels.NewLabel(entity, "", labels.LabelSourceReserved)
			node = node || entity == labels.IDNameHost || entity == labels.IDNameRemoteNode
		}
		if !node {
			found.MergeLabels(labels.GetCIDRLabels(netip.PrefixFrom(address, address.BitLen())))
			found.MergeLabels(dns.labels(external.Names))
		}
		end.identities = append(end.identities, k.of(found))
		end.families = append(end.families, family(address))
	}
	return end, nil
}

func (k *identities) of(found labels.Labels) *identity.Identity {
	key := string(found.SortedList())
	if known := k.byKey[key]; known != nil {
		return known
	}
	made := identity.LookupReservedIdentityByLabels(found)
	if made == nil {
		scope := identity.ScopeForLabels(found)
		k.next[scope]++
		made = identity.NewIdentity((1000+k.next[scope])|scope, found)
	}
	k.byKey[key] = made
	k.labels[made.ID] = made.LabelArray
	return made
}

// GetNamedPorts lets the engine resolve the names of ports that egress rules use.
func (k *identities) GetNamedPorts() types.NamedPortMultiMap {
	return k.ports
}

func family(address netip.Addr) int {
	if address.Unmap().Is4() {
		return four
	}
	return six
}
