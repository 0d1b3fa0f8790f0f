"""Writes Neutron's default rules, with the older ones that hold beside them."""
from neutron import policy
from oslo_config import cfg

cfg.CONF([], project="neutron", default_config_files=[])
policy.init()
for name, rule in sorted(policy._ENFORCER.registered_rules.items()):
    text = rule.check_str or "@"
    older = rule.deprecated_rule or []
    for old in older if isinstance(older, (list, tuple)) else [older]:
        if old.check_str != rule.check_str:
            text = "(%s) or (%s)" % (text, old.check_str or "@")
    print('"%s": "%s"' % (name, text))
