"""A node among the others: the cluster's core and a carrier, run as a service, and what becomes of it in publishing."""
