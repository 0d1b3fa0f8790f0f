package compute

import (
	"encoding/json"
	"net/netip"

	"github.com/google/uuid"

	"github.com/tricircle/tricircle/internal/fault"
)

// readNetworks takes "networks" in all its forms.
func (c *creation) readNetworks() error {
	raw, ok := c.server["networks"]
	if !ok {
		if c.atVersion.AtLeast(2, 37) {
			return c.lacks("networks")
		}
		return nil
	}
	var word string
	if json.Unmarshal(raw, &word) == nil {
		if !c.atVersion.AtLeast(2, 37) {
			return wrongType("networks", raw, "array")
		}
		if word != "auto" && word != "none" {
			return wrongValue("networks", raw, "is not valid under any of the given schemas")
		}
		c.Networks.Mode = word
		return nil
	}
	var entries []map[string]json.RawMessage
	if isNull(raw) || json.Unmarshal(raw, &entries) != nil {
		return wrongValue("networks", raw, "is not valid under any of the given schemas")
	}
	seen := map[string]bool{}
	for _, entry := range entries {
		nic, err := c.readNIC(entry, raw)
		if err != nil {
			return err
		}
		if nic.PortID != "" && seen[nic.PortID] {
			return fault.New(fault.Invalid, "", "Port ID '%s' was specified twice: you cannot attach a port multiple times.", nic.PortID)
		}
		seen[nic.PortID] = true
		c.Networks.NICs = append(c.Networks.NICs, nic)
	}
	return c.checkNICs()
}

func (c *creation) readNIC(entry map[string]json.RawMessage, all json.RawMessage) (nic nicWish, err error) {
	invalid := wrongValue("networks", all, "is not valid under any of the given schemas")
	var address string
	for key, raw := range entry {
		into := map[string]*string{"uuid": &nic.NetworkID, "port": &nic.PortID, "fixed_ip": &address}[key]
		switch {
		case key == "tag" && (c.takesTags()):
			nic.Tag = raw
		case into == nil, key != "port" && isNull(raw), json.Unmarshal(raw, into) != nil:
			return nic, invalid
		}
	}
	if address != "" {
		if nic.Address, err = netip.ParseAddr(address); err != nil {
			return nic, invalid
		}
	}
	switch {
	case nic.PortID != "" && uuid.Validate(nic.PortID) != nil:
		return nic, invalid
	case nic.PortID != "" && nic.Address.IsValid():
		return nic, fault.New(fault.Invalid, "",
			"Specified Fixed IP '%s' cannot be used with port '%s': the two cannot be specified together.", nic.Address, nic.PortID)
	case nic.PortID != "":
		nic.NetworkID = "" // Nova lets the port win
	case nic.NetworkID == "":
		return nic, fault.New(fault.Invalid, "", "Bad network format: missing 'uuid'")
	case uuid.Validate(nic.NetworkID) != nil:
		if c.atVersion.AtLeast(2, 37) {
			return nic, invalid
		}
		return nic, fault.New(fault.Invalid, "", "Bad networks format: network uuid is not in proper format (%s)", nic.NetworkID)
	}
	return nic, nil
}

// checkNICs refuses what several servers cannot share.
func (c *creation) checkNICs() error {
	if c.Max == 1 {
		return nil
	}
	for _, nic := range c.Networks.NICs {
		if nic.PortID != "" {
			return fault.New(fault.Invalid, "", "Failed to launch instances: Unable to launch multiple instances with a single configured port ID. Please launch your instance one by one with different ports.")
		}
		if nic.Address.IsValid() {
			return fault.New(fault.Invalid, "", "Failed to launch instances: max_count cannot be greater than 1 if an fixed_ip is specified.")
		}
	}
	return nil
}

// takesTags reports whether this version knows tags of NICs: Nova has them from
// 2.32, lost them by mistake in 2.37, and has them again from 2.42.
func (c *creation) takesTags() bool {
	return c.atVersion.AtLeast(2, 32) && !c.atVersion.AtLeast(2, 37) || c.atVersion.AtLeast(2, 42)
}
