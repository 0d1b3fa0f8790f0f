"""Answers questions as oslo.policy does: JSON in, JSON out."""
import json
import sys

from oslo_config import cfg
from oslo_policy import policy

conf = cfg.ConfigOpts()
conf([])
answers = []
for q in json.load(sys.stdin):
    enforcer = policy.Enforcer(conf, use_conf=False)
    enforcer.set_rules(policy.Rules.from_dict(q["rules"], "default"), use_conf=False)
    answers.append(bool(enforcer.enforce(q["rule"], q["target"], q["creds"])))
json.dump(answers, sys.stdout)
