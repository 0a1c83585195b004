"""Host tools of viperip: run boards, join them with a switch, look at their traffic."""
