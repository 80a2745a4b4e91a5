package main

import (
	"fmt"
	"net"
	"net/netip"
	"strings"
)

// addresses is a setting that is a list of IP addresses.
type addresses []netip.Addr

// Set adds addresses, which are separated by commas.
func (a *addresses) Set(text string) error {
	var added addresses
	for _, one := range strings.Split(text, ",") {
		address, err := netip.ParseAddr(strings.TrimSpace(one))
		switch {
		case err != nil:
			return fmt.Errorf("%q is not an IP address; write for example 192.0.2.1 or 2001:db8::1, without a port", one)
		case address.IsUnspecified() || address.IsMulticast() || address.Zone() != "":
			return fmt.Errorf("initiators cannot connect to %s; write an address that is unique on the network", address)
		}
		added = append(added, address.Unmap())
	}
	*a = append(*a, added...)
	return nil
}

func (a *addresses) String() string {
	var texts []string
	for _, address := range *a {
		texts = append(texts, address.String())
	}
	return strings.Join(texts, ",")
}

// Type is what help calls it.
func (a *addresses) Type() string { return "address" }

// addressesOfInterfaces returns the addresses of this machine that others can
// reach, as far as it can tell: global unicast ones of interfaces that are up.
func addressesOfInterfaces() (addresses, error) {
	interfaces, err := net.Interfaces()
	if err != nil {
		return nil, fmt.Errorf("cannot read the addresses of this node: %w", err)
	}
	var found addresses
	for _, i := range interfaces {
		if i.Flags&net.FlagUp == 0 {
			continue
		}
		of, err := i.Addrs()
		if err != nil {
			return nil, fmt.Errorf("cannot read the addresses of interface %s: %w", i.Name, err)
		}
		for _, each := range of {
			prefix, err := netip.ParsePrefix(each.String())
			if err == nil && prefix.Addr().IsGlobalUnicast() {
				found = append(found, prefix.Addr().Unmap())
			}
		}
	}
	return found, nil
}
