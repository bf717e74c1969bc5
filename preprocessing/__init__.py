"""Tables of molecules, and files of structures -> data sets of graphs; the command `hydrasurr-preprocess`."""
