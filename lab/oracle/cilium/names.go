package main

import (
	"regexp"

	"github.com/cilium/cilium/pkg/fqdn/dns"
	"github.com/cilium/cilium/pkg/labels"
	"github.com/cilium/cilium/pkg/policy/api"
)

// resolver plays the DNS proxy. It learns the addresses of a name only from lookups that some rule lets through the
// proxy, and marks them for every selector that matches the name.
type resolver struct {
	lookups   []*regexp.Regexp
	selectors []selector
}

type selector struct {
	pattern *regexp.Regexp
	label   labels.Label
}

func newResolver(rules api.Rules) (*resolver, error) {
	found := &resolver{}
	for _, rule := range rules {
		for _, egress := range rule.Egress {
			for _, wanted := range egress.ToFQDNs {
				pattern, err := wanted.ToRegex()
				if err != nil {
					return nil, err
				}
				found.selectors = append(found.selectors, selector{pattern, wanted.IdentityLabel()})
			}
			if err := found.allow(egress.ToPorts); err != nil {
				return nil, err
			}
		}
	}
	return found, nil
}

func (r *resolver) allow(ports api.PortRules) error {
	for _, port := range ports {
		if port.Rules == nil {
			continue
		}
		for _, rule := range port.Rules.DNS {
			asked := api.FQDNSelector(rule)
			pattern, err := asked.ToRegex()
			if err != nil {
				return err
			}
			r.lookups = append(r.lookups, pattern)
		}
	}
	return nil
}

// labels are those of an address that pods look up under these names.
func (r *resolver) labels(names []string) labels.Labels {
	found := labels.Labels{}
	for _, name := range names {
		name = dns.FQDN(name)
		if !r.passes(name) {
			continue
		}
		for _, wanted := range r.selectors {
			if wanted.pattern.MatchString(name) {
				found[wanted.label.Key] = wanted.label
			}
		}
	}
	return found
}

func (r *resolver) passes(name string) bool {
	for _, pattern := range r.lookups {
		if pattern.MatchString(name) {
			return true
		}
	}
	return false
}
