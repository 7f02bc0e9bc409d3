_tidings() {
    local candidate
    COMPREPLY=()
    while IFS= read -r candidate; do
        COMPREPLY+=("$candidate")
    done < <(COMPLETE=bash tidings -- "${COMP_LINE:0:COMP_POINT}" "$COMP_WORDBREAKS" 2>/dev/null)
    if [[ ${#COMPREPLY[@]} -eq 1 && ${COMPREPLY[0]} == *[=/:#] ]]; then
        compopt -o nospace 2>/dev/null
    fi
}
complete -o nosort -F _tidings tidings 2>/dev/null || complete -F _tidings tidings
