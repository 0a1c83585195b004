"""`viperip vboard`: a board of software behind a serial port."""
