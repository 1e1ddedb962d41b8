"""The adversarial loop: compose briefs, propose, judge, stop."""
