# nmforge: from a language-model checkpoint to a simulated accelerator, figures and the ledger of claims.
# The workflow itself is workflow/Snakefile; its settings are config.yaml.


include: "workflow/Snakefile"
