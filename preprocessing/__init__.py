"""Tables of molecules -> data sets of graphs; the command `hydrasurr-preprocess`."""
