"""Place and route on the ECP5, and the netlist that comes out."""
