"""The network: the same site as on the command line, asked over HTTP by doors, desks, HR and the people themselves."""
