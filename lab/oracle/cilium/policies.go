package main

import (
	"fmt"

	"github.com/cilium/cilium/pkg/k8s"
	ciliumv2 "github.com/cilium/cilium/pkg/k8s/apis/cilium.io/v2"
	networkingv1 "github.com/cilium/cilium/pkg/k8s/slim/k8s/api/networking/v1"
	"github.com/cilium/cilium/pkg/option"
	"github.com/cilium/cilium/pkg/policy/api"
	policytypes "github.com/cilium/cilium/pkg/policy/types"
	policyutils "github.com/cilium/cilium/pkg/policy/utils"
	"pipesegment.dev/lab/oracle/contract"
)

// read translates policies into what the engine holds, and gives Cilium's own rules, whose names the resolver needs.
func read(objects []contract.Object) (entries policytypes.PolicyEntries, rules api.Rules, err error) {
	for _, object := range objects {
		switch object.Kind {
		case "NetworkPolicy":
			policy := &networkingv1.NetworkPolicy{}
			if err := object.Into(policy); err != nil {
				return nil, nil, err
			}
			found, err := k8s.ParseNetworkPolicy(logger, option.Config.ClusterName, policy)
			if err != nil {
				return nil, nil, err
			}
			entries = append(entries, found...)
		case "CiliumNetworkPolicy":
			policy := &ciliumv2.CiliumNetworkPolicy{}
			if err := object.Into(policy); err != nil {
				return nil, nil, err
			}
			found, err := policy.Parse(logger, option.Config.ClusterName)
			if err != nil {
				return nil, nil, err
			}
			rules = append(rules, found...)
		default:
			return nil, nil, fmt.Errorf("no %s is judged here", object.Kind)
		}
	}
	return append(entries, policyutils.RulesToPolicyEntries(rules)...), rules, nil
}
