package main

import (
	"context"
	"fmt"
	"net/http"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/gophercloud/gophercloud/v2"
	"github.com/gophercloud/gophercloud/v2/openstack"
)

type object map[string]any

// kind is one kind of resource: its service, its words in JSON, how to ask for
// a new one.
type kind struct {
	connect   func(*gophercloud.ProviderClient, gophercloud.EndpointOpts) (*gophercloud.ServiceClient, error)
	one, many string // keys in JSON; an image has no key of its own
	list      string
	body      func(client) (object, error)
}

func kinds() map[string]kind {
	return map[string]kind{
		"image":   {openstack.NewImageV2, "", "images", "images", imageBody},
		"flavor":  {openstack.NewComputeV2, "flavor", "flavors", "flavors/detail", flavorBody},
		"network": {openstack.NewNetworkV2, "network", "networks", "networks", networkBody},
		"subnet":  {openstack.NewNetworkV2, "subnet", "subnets", "subnets", subnetBody},
		"port":    {openstack.NewNetworkV2, "port", "ports", "ports", networkBody},
		"server":  {openstack.NewComputeV2, "server", "servers", "servers/detail", serverBody},
	}
}

func imageBody(c client) (object, error) {
	return object{"name": c.args.name(), "disk_format": c.args.option("disk-format"), "container_format": "bare"}, nil
}

func flavorBody(c client) (object, error) {
	return object{"name": c.args.name(), "ram": c.args.number("ram"), "disk": c.args.number("disk"), "vcpus": c.args.number("vcpus")}, nil
}

func networkBody(c client) (object, error) { return object{"name": c.args.name()}, nil }

func subnetBody(c client) (object, error) {
	network, err := c.find("network", c.args.option("network"))
	return object{"name": c.args.name(), "network_id": network, "ip_version": 4, "cidr": c.args.option("subnet-range")}, err
}

func serverBody(c client) (object, error) {
	ids := map[string]any{}
	for _, kind := range []string{"image", "flavor", "network"} {
		id, err := c.find(kind, c.args.option(kind))
		if err != nil {
			return nil, err
		}
		ids[kind] = id
	}
	return object{
		"name": c.args.name(), "imageRef": ids["image"], "flavorRef": ids["flavor"],
		"availability_zone": c.args.option("availability-zone"), "networks": []object{{"uuid": ids["network"]}},
	}, nil
}

// client runs one command.
type client struct {
	ctx     context.Context
	region  region
	kind    kind
	service *gophercloud.ServiceClient
	args    arguments
}

// find turns a name into an ID.
func (c client) find(kindName, name string) (string, error) {
	k := kinds()[kindName]
	service, err := k.connect(c.region.provider, c.region.where)
	if err != nil {
		return "", err
	}
	all, err := c.all(service, k, k.list)
	if err != nil {
		return "", err
	}
	i := slices.IndexFunc(all, func(o object) bool { return o["name"] == name || o["id"] == name })
	if i < 0 {
		return "", fmt.Errorf("no %s has the name or ID %s", kindName, name)
	}
	return fmt.Sprint(all[i]["id"]), nil
}

func (c client) all(service *gophercloud.ServiceClient, k kind, path string) ([]object, error) {
	var out map[string]any
	if _, err := service.Get(c.ctx, service.ServiceURL(path), &out, nil); err != nil {
		return nil, err
	}
	list, _ := out[k.many].([]any)
	var all []object
	for _, item := range list {
		if o, ok := item.(map[string]any); ok {
			all = append(all, o)
		}
	}
	return all, nil
}

func (c client) create() error {
	body, err := c.kind.body(c)
	if err != nil {
		return err
	}
	if c.kind.one != "" {
		body = object{c.kind.one: body}
	}
	var out object
	if _, err := c.service.Post(c.ctx, c.service.ServiceURL(c.kind.many), body, &out, &gophercloud.RequestOpts{
		OkCodes: []int{http.StatusOK, http.StatusCreated, http.StatusAccepted},
	}); err != nil {
		return err
	}
	made := c.unwrap(out)
	if file := c.args.option("file"); file != "" {
		if err := c.upload(fmt.Sprint(made["id"]), file); err != nil {
			return err
		}
	}
	if made, err = c.settle(made); err != nil {
		return err
	}
	c.args.print([]object{made})
	return nil
}

func (c client) unwrap(o object) object {
	if inner, ok := o[c.kind.one].(map[string]any); ok {
		return inner
	}
	return o
}

func (c client) upload(image, file string) error {
	content, err := os.Open(file)
	if err != nil {
		return err
	}
	defer content.Close()
	_, err = c.service.Put(c.ctx, c.service.ServiceURL("images", image, "file"), content, nil, &gophercloud.RequestOpts{
		MoreHeaders: map[string]string{"Content-Type": "application/octet-stream"}, OkCodes: []int{http.StatusNoContent},
	})
	return err
}

// settle reads what was made once more, with --wait until it is ACTIVE.
func (c client) settle(made object) (object, error) {
	tick := time.NewTicker(time.Second)
	defer tick.Stop()
	for {
		var out object
		if _, err := c.service.Get(c.ctx, c.service.ServiceURL(c.kind.many, fmt.Sprint(made["id"])), &out, nil); err != nil {
			return nil, err
		}
		o := c.unwrap(out)
		switch {
		case !c.args.has("wait"), o["status"] == "ACTIVE":
			return o, nil
		case o["status"] == "ERROR":
			return nil, fmt.Errorf("%v is in ERROR: %v", o["name"], o["fault"])
		}
		select {
		case <-tick.C:
		case <-c.ctx.Done():
			return nil, c.ctx.Err()
		}
	}
}

func (c client) list() error {
	path := c.kind.list
	if server := c.args.option("server"); server != "" {
		id, err := c.find("server", server)
		if err != nil {
			return err
		}
		path += "?device_id=" + id
	}
	all, err := c.all(c.service, c.kind, path)
	if err != nil {
		return err
	}
	c.args.print(all)
	return nil
}

func (c client) show() error {
	all, err := c.all(c.service, c.kind, c.kind.list)
	if err != nil {
		return err
	}
	c.args.print(slices.DeleteFunc(all, func(o object) bool { return o["name"] != c.args.name() }))
	return nil
}

func (c client) delete() error {
	for _, name := range c.args.names {
		all, err := c.all(c.service, c.kind, c.kind.list)
		if err != nil {
			return err
		}
		i := slices.IndexFunc(all, func(o object) bool { return o["name"] == name })
		if i < 0 {
			return fmt.Errorf("there is no %s", name)
		}
		url := c.service.ServiceURL(c.kind.many, fmt.Sprint(all[i]["id"]))
		if _, err := c.service.Delete(c.ctx, url, nil); err != nil {
			return err
		}
		if c.args.has("wait") {
			if err := c.gone(url); err != nil {
				return err
			}
		}
	}
	return nil
}

func (c client) gone(url string) error {
	tick := time.NewTicker(time.Second)
	defer tick.Stop()
	for {
		var out any
		_, err := c.service.Get(c.ctx, url, &out, nil)
		if gophercloud.ResponseCodeIs(err, http.StatusNotFound) {
			return nil
		}
		if err != nil {
			return err
		}
		select {
		case <-tick.C:
		case <-c.ctx.Done():
			return c.ctx.Err()
		}
	}
}

// text is a field as the public client prints it, by the name of its column.
func (o object) text(column string) string {
	switch column {
	case "Networks", "addresses":
		var all []string
		networks, _ := o["addresses"].(map[string]any)
		for name, list := range networks {
			addresses, _ := list.([]any)
			for _, a := range addresses {
				entry, _ := a.(map[string]any)
				all = append(all, fmt.Sprintf("%s=%v", name, entry["addr"]))
			}
		}
		return strings.Join(all, ", ")
	case "Availability Zone":
		return fmt.Sprint(o["OS-EXT-AZ:availability_zone"])
	}
	for _, key := range []string{column, strings.ToLower(column)} {
		if v := o[key]; v != nil {
			return fmt.Sprint(v)
		}
	}
	return ""
}
