"""The checks, by subject: the function `check_slack_token` is the check `slack.token`."""
