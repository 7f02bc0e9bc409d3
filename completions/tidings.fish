complete --keep-order --exclusive --command tidings --arguments "(COMPLETE=fish tidings -- (commandline --current-process --tokenize --cut-at-cursor) (commandline --current-token))"
